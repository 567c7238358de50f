"""How a model's versions come about: trained by a recipe and judged by gates, or ready-made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeAlias

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

from reconciler.spec.documents import rules
from reconciler.spec.documents.base import (
    Document,
    ModelMetadata,
    Number,
    ParameterValue,
    Part,
    Reference,
    ResourceId,
    SecretReference,
    Text,
    VersionLabel,
    one_of,
    require_one,
)

INPUT_FORMS = ("file", "blob", "url")
INPUT_RULE = "input_form"
"""The error type of an input that is not exactly one of `INPUT_FORMS`."""
VALUE_MARK = "<value>"
"""The mark that pydantic's error locations carry for a parameter's plain value."""


class ClassicTraining(Part):
    """A Classic training web service, called by its Batch Execution Service."""

    web_service: Text = Field(description="Name of the training web service if it is unique, else its id.")
    endpoint: Text = Field(default="default", description="The endpoint to run batch jobs on.")


class NewTraining(Part):
    """A New training web service, called by its Batch Execution Service, which is the Classic one's protocol."""

    resource_id: ResourceId = Field(description=rules.RESOURCE_ID_SHAPE)


class FileInput(Part):
    """A local file, or several as one, uploaded once under a path made of its content's hash."""

    file: Annotated[str, AfterValidator(rules.file_path)] = Field(
        description="Path relative to this document's file; {version} is replaced by the label. A glob (*, ?, [...]) "
        "stands for all the CSV files that it matches, joined in the order of their names under one header."
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


DataSource: TypeAlias = FileInput | BlobInput | UrlInput

TrainingInput: TypeAlias = Annotated[
    Annotated[FileInput, Tag("<file>")] | Annotated[BlobInput, Tag("<blob>")] | Annotated[UrlInput, Tag("<url>")],
    Discriminator(
        _input_form,
        custom_error_type=INPUT_RULE,
        custom_error_message="needs exactly one of file, blob, url",
    ),
]


def _parameter_form(value: object) -> str | None:
    return _input_form(value) if isinstance(value, Mapping | Part) else VALUE_MARK


TrainingParameter: TypeAlias = Annotated[
    Annotated[FileInput, Tag("<file>")]
    | Annotated[BlobInput, Tag("<blob>")]
    | Annotated[UrlInput, Tag("<url>")]
    | Annotated[ParameterValue, Tag(VALUE_MARK)],
    Discriminator(
        _parameter_form,
        custom_error_type=INPUT_RULE,
        custom_error_message="needs exactly one of file, blob, url",
    ),
]


class Outputs(Part):
    """The names of the training service's web service outputs."""

    model: Text = Field(description="The output with the trained model.")
    evaluation: Text | None = Field(
        default=None, description="The output with the metrics of Evaluate Model; gates need it."
    )

    @field_validator("evaluation")
    @classmethod
    def _another_output(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("model"):
            raise rules.broken("is the same output as the model's", allowed="another output of the training service")
        return value


@dataclass(frozen=True, slots=True)
class ResolvedTraining:
    """A recipe for one label: what of `Training` holds ``{version}``, with the label in its place.

    Attributes:
        inputs: The data of each web service input.
        parameters: The plain values of GlobalParameters.
        parameter_data: The data whose URL each of the other GlobalParameters holds.
    """

    inputs: Mapping[str, DataSource]
    parameters: Mapping[str, str | int | float | bool]
    parameter_data: Mapping[str, DataSource]


class Training(Part):
    """The recipe by which a model's versions are trained."""

    model_config = ConfigDict(json_schema_extra=one_of("classic", "new"))

    classic: ClassicTraining | None = Field(default=None, description="The Classic web service that trains.")
    new: NewTraining | None = Field(default=None, description="The New web service that trains.")
    pool: Text | None = Field(
        default=None, description="Id of the dedicated Azure Batch pool to run the jobs on (AzureBatchPoolId)."
    )
    inputs: dict[Text, TrainingInput] = Field(
        default_factory=dict,
        description="The training service's web service inputs by name (case-sensitive).",
    )
    parameters: dict[Text, TrainingParameter] = Field(
        default_factory=dict,
        description="GlobalParameters of the job; {version} in a text is replaced by the label. One of file, blob, url "
        "in place of a value means that the parameter holds the URL of those data.",
    )
    outputs: Outputs
    timeout: Annotated[
        timedelta,
        BeforeValidator(rules.duration),
        WithJsonSchema({"type": "string", "pattern": rules.DURATION_PATTERN, "minLength": 2, "default": "2h"}),
    ] = Field(default=timedelta(hours=2), description="How long a job may take, for example 2h, 90m or 1h30m.")

    @model_validator(mode="before")
    @classmethod
    def _one_service(cls, value: object) -> object:
        return require_one(cls, value, ("classic", "new"))

    @property
    def service(self) -> ClassicTraining | NewTraining:
        """The web service that trains."""
        found = self.classic or self.new
        if found is None:
            raise ValueError("a training names one web service")
        return found

    def resolve(self, label: str) -> ResolvedTraining:
        """Return the inputs and parameters for this version label."""
        parameters: dict[str, str | int | float | bool] = {}
        parameter_data: dict[str, DataSource] = {}
        for name, value in self.parameters.items():
            if isinstance(value, FileInput | BlobInput | UrlInput):
                parameter_data[name] = _labelled(value, label)
            elif isinstance(value, str):
                parameters[name] = value.replace(rules.VERSION_PLACEHOLDER, label)
            else:
                parameters[name] = value
        inputs = {name: _labelled(source, label) for name, source in self.inputs.items()}
        return ResolvedTraining(inputs, parameters, parameter_data)


def _labelled(source: DataSource, label: str) -> DataSource:
    texts = {name: text.replace(rules.VERSION_PLACEHOLDER, label) for name, text in source.model_dump().items()}
    return source.model_copy(update=texts)


class Gate(Part):
    """A rule on one metric that must hold before a target moves to a version."""

    model_config = ConfigDict(json_schema_extra=one_of("min", "max", "maxDrop"))

    metric: Text = Field(description="The metric's name as Evaluate Model writes it, for example AUC.")
    min: Number | None = Field(default=None, description="The lowest value that passes.")
    max: Number | None = Field(default=None, description="The highest value that passes.")
    max_drop: Annotated[float, Strict(), Field(ge=0), AfterValidator(rules.finite)] | None = Field(
        default=None, description="How far the metric may drop below that of the live version."
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


class ModelSpec(Part):
    """A line of trained models: one recipe, and versions of it."""

    workspace: str = Field(description="Name of the Workspace that the model is trained in.")
    training: Training | None = None
    gates: tuple[Gate, ...] = Field(
        default=(), description="Rules that a version must meet before targets are pointed at it."
    )
    versions: dict[VersionLabel, ReadyVersion] = Field(
        default_factory=dict, description="Ready-made versions by label; these are not trained."
    )


class Model(Document):
    """A line of trained models with one training recipe."""

    kind: Literal["Model"] = "Model"
    metadata: ModelMetadata
    spec: ModelSpec

    FIELDS: ClassVar[tuple[str, ...]] = (
        "spec.workspace",
        "spec.training.classic.webService",
        "spec.training.new.resourceId",
    )
    REFERENCES: ClassVar[Mapping[str, Reference]] = {"spec.workspace": Reference("Workspace")}


def trainer_of(values: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the training service that a Model's fields name, as `Target.service_of` says a target's; None if none."""
    resource = values.get("spec.training.new.resourceId")
    if resource is not None:
        return (resource.lower(),)
    workspace, service = values.get("spec.workspace"), values.get("spec.training.classic.webService")
    return (workspace, service) if workspace is not None and service is not None else None
