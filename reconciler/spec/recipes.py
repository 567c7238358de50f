"""How a model's versions come about: trained by a recipe and judged by gates, or ready-made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from reconciler.spec import rules
from reconciler.spec.parts import Number, ParameterValue, Part, SecretReference, Text, one_of, require_one

INPUT_FORMS = ("file", "blob", "url")
INPUT_RULE = "input_form"
"""The error type of an input that is not exactly one of `INPUT_FORMS`."""


class ClassicTraining(Part):
    """A Classic training web service, called by its Batch Execution Service."""

    web_service: Text = Field(description="Name of the training web service if it is unique, else its id.")
    endpoint: Text = Field(default="default", description="The endpoint to run batch jobs on.")


class FileInput(Part):
    """A local file, uploaded once under a path made of its content's hash."""

    file: Annotated[str, AfterValidator(rules.file_path)] = Field(
        description="Path relative to this document's file; {version} is replaced by the label."
    )


class BlobInput(Part):
    """A blob in the workspace's storage account."""

    blob: Annotated[str, AfterValidator(rules.blob_path)] = Field(
        description="container/path in the workspace's storage; {version} is replaced by the label."
    )


class UrlInput(Part):
    """Data that the service fetches itself from a URL."""

    url: Annotated[str, AfterValidator(rules.input_url)] = Field(
        description="https URL without credentials; {version} is replaced by the label."
    )


INPUT_PARTS: Mapping[str, type[Part]] = {"<file>": FileInput, "<blob>": BlobInput, "<url>": UrlInput}
"""The forms of an input by the marks that pydantic's error locations carry for them."""


def _input_form(value: object) -> str | None:
    if isinstance(value, Mapping):
        given = [form for form in INPUT_FORMS if form in value]
        return f"<{given[0]}>" if len(given) == 1 else None
    return next((mark for mark, part in INPUT_PARTS.items() if isinstance(value, part)), None)


TrainingInput: TypeAlias = Annotated[
    Annotated[FileInput, Tag("<file>")] | Annotated[BlobInput, Tag("<blob>")] | Annotated[UrlInput, Tag("<url>")],
    Discriminator(
        _input_form,
        custom_error_type=INPUT_RULE,
        custom_error_message="needs exactly one of file, blob, url",
    ),
]


class Outputs(Part):
    """The names of the training service's web service outputs."""

    model: Text = Field(description="The output that gives the trained model.")
    evaluation: Text | None = Field(
        default=None, description="The output that gives Evaluate Model's metrics; gates need it."
    )

    @field_validator("evaluation")
    @classmethod
    def _another_output(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("model"):
            raise rules.broken("is the same output as the model's", allowed="another output of the training service")
        return value


@dataclass(frozen=True, slots=True)
class ResolvedTraining:
    """A recipe for one label: what of `Training` holds ``{version}``, with the label in its place."""

    inputs: Mapping[str, FileInput | BlobInput | UrlInput]
    parameters: Mapping[str, str | int | float | bool]


class Training(Part):
    """The recipe by which a model's versions are trained."""

    classic: ClassicTraining
    inputs: dict[Text, TrainingInput] = Field(
        default_factory=dict,
        description="The training service's web service inputs by name (case-sensitive).",
    )
    parameters: dict[Text, ParameterValue] = Field(
        default_factory=dict,
        description="GlobalParameters of the job; {version} in a text is replaced by the label.",
    )
    outputs: Outputs
    timeout: Annotated[
        timedelta,
        BeforeValidator(rules.duration),
        WithJsonSchema({"type": "string", "pattern": rules.DURATION_PATTERN, "minLength": 2, "default": "2h"}),
    ] = Field(default=timedelta(hours=2), description="How long a job may take, for example 2h, 90m or 1h30m.")

    def resolve(self, label: str) -> ResolvedTraining:
        """The inputs and parameters for this version label."""
        inputs = {
            name: source.model_copy(
                update={
                    field: text.replace(rules.VERSION_PLACEHOLDER, label) for field, text in source.model_dump().items()
                }
            )
            for name, source in self.inputs.items()
        }
        parameters = {
            name: value.replace(rules.VERSION_PLACEHOLDER, label) if isinstance(value, str) else value
            for name, value in self.parameters.items()
        }
        return ResolvedTraining(inputs, parameters)


class Gate(Part):
    """A rule on one metric that must hold before a target moves to a version."""

    model_config = ConfigDict(json_schema_extra=one_of("min", "max", "maxDrop"))

    metric: Text = Field(description="The metric's name as Evaluate Model writes it, for example AUC.")
    min: Number | None = Field(default=None, description="The least value that passes.")
    max: Number | None = Field(default=None, description="The greatest value that passes.")
    max_drop: Annotated[float, Strict(), Field(ge=0), AfterValidator(rules.finite)] | None = Field(
        default=None, description="How far the metric may fall below that of the version now live."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_rule(cls, value: object) -> object:
        return require_one(cls, value, ("min", "max", "max_drop"))


class ReadyLocation(Part):
    """Where a ready-made trained model lies (classic-protocol 1.7)."""

    base_location: Annotated[str, AfterValidator(rules.base_location)] = Field(
        description="The storage account's URL, https://account.blob.core.windows.net/."
    )
    relative_location: Annotated[str, AfterValidator(rules.relative_location)] = Field(
        description="container/path of the .ilearner blob."
    )
    sas_token: SecretReference | None = Field(
        default=None,
        description="Reference to a SAS that grants reading it, if it is not in the workspace's storage.",
    )


class ReadyVersion(Part):
    """A version that was trained elsewhere."""

    location: ReadyLocation
