"""A NewWebService: where it comes from, and what of it is managed beside its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from reconciler.spec.documents import rules, tag_rules
from reconciler.spec.documents.base import Part, Reference, ResourceId, SecretReference, Text, Whole, shape
from reconciler.spec.documents.serving import ModelUse, Serving, Target, TraceLevel, versions_of
from reconciler.spec.documents.tag_rules import TAG_LIMIT

CommitmentPlanId: TypeAlias = Annotated[
    str, AfterValidator(rules.commitment_plan), shape(pattern=rules.COMMITMENT_PLAN_PATTERN)
]
JsonPointer: TypeAlias = Annotated[str, AfterValidator(rules.json_pointer), shape(pattern=rules.JSON_POINTER_PATTERN)]
TagName: TypeAlias = Annotated[str, AfterValidator(tag_rules.tag_name)]
TagValue: TypeAlias = Annotated[str, AfterValidator(tag_rules.tag_value)]
Tags: TypeAlias = Annotated[dict[TagName, TagValue], AfterValidator(tag_rules.tags)]


class DefinitionFile(Part):
    """Where the definition is kept: JSON as Resource Manager has it, without server-set members and secrets."""

    file: Annotated[str, AfterValidator(rules.present)] = Field(
        description="A JSON file, relative to the directory of this document's file; `reconcile export` writes one."
    )

    @property
    def path(self) -> Path:
        """The same as a path."""
        return Path(self.file)


class NewStorage(Part):
    """The storage account of a New web service, which has its models. Its key can be written and never read."""

    account: Text = Field(description="Name of the storage account.")
    key: SecretReference = Field(
        description="Reference to the account's key; a key that differs from the live one is written to the service."
    )


class NewKeys(Part):
    """The keys that callers of a New web service use. A key that is left out is not managed."""

    primary: SecretReference | None = Field(default=None, description="Reference to the primary key.")
    secondary: SecretReference | None = Field(default=None, description="Reference to the secondary key.")

    @model_validator(mode="after")
    def _some_key(self) -> NewKeys:
        if self.primary is None and self.secondary is None:
            raise rules.broken("has no key", allowed="primary, secondary, or both")
        return self


class NewSettings(Part):
    """Settings of a New web service that are managed."""

    max_concurrent_calls: Annotated[Whole, Field(ge=4, le=200)] | None = Field(
        default=None, description="realtimeConfiguration.maxConcurrentCalls."
    )
    diagnostics: TraceLevel | None = Field(default=None, description="diagnostics.level.")
    title: Text | None = Field(default=None, description="Its title.")
    description: Text | None = Field(default=None, description="Its description.")
    expose_sample_data: bool | None = Field(
        default=None, description="Whether the API description of the service shows sample rows of its training data."
    )


class NewWebServiceSpec(Serving):
    """A New (Azure Resource Manager) web service.

    One that does not exist is created if ``definition`` or ``copyOf`` says of what.
    """

    resource_id: ResourceId = Field(description=rules.RESOURCE_ID_SHAPE)
    settings: NewSettings = Field(default_factory=NewSettings)
    definition: DefinitionFile | None = Field(
        default=None,
        description="The definition to create the service with and keep it at, except for models, settings and tags.",
    )
    copy_of: Text | None = Field(
        default=None,
        description="Create the service as a copy of this one, in another region: a resource id, or the name of a "
        "NewWebService. Requires location, storage and commitmentPlan.",
    )
    location: Text | None = Field(
        default=None, description="The region to create the service in, for example West Europe. Cannot be changed."
    )
    storage: NewStorage | None = None
    commitment_plan: CommitmentPlanId | None = Field(
        default=None, description=f"The commitment plan that pays for the service: {rules.COMMITMENT_PLAN_SHAPE}"
    )
    keys: NewKeys | None = None
    tags: Tags = Field(default_factory=dict, description="Tags to set. Other tags are left unchanged.")
    ignore: tuple[JsonPointer, ...] = Field(
        default=(), description="Places in the definition (JSON Pointers) that may differ from the file."
    )
    arm_version: Literal["2017-01-01", "2016-05-01-preview"] = Field(
        default="2017-01-01", description="The api-version of the calls to Azure Resource Manager."
    )

    @field_validator("models")
    @classmethod
    def _markers_fit(cls, value: tuple[ModelUse, ...]) -> tuple[ModelUse, ...]:
        if len(", ".join(versions_of(value))) > TAG_LIMIT:
            allowed = f"model names and labels of {TAG_LIMIT} characters in total"
            raise rules.too_many_markers(len(value), "a tag of the service", allowed)
        return value

    @field_validator("copy_of")
    @classmethod
    def _one_origin(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("definition") is not None:
            raise rules.broken("stands beside definition", allowed="definition or copyOf, not both")
        return value

    @field_validator("ignore")
    @classmethod
    def _of_a_definition(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("definition") is None:
            raise rules.broken("has no definition to be compared with", allowed="ignore beside definition")
        return value

    @field_validator("arm_version")
    @classmethod
    def _knows_regions(cls, value: str, info: ValidationInfo) -> str:
        if value != "2017-01-01" and info.data.get("copy_of") is not None:
            raise rules.broken("does not know copies to another region", allowed="2017-01-01 beside copyOf")
        return value

    @model_validator(mode="after")
    def _complete_copy(self) -> NewWebServiceSpec:
        needed = {"location": self.location, "storage": self.storage, "commitmentPlan": self.commitment_plan}
        missing = [name for name, value in needed.items() if value is None]
        if self.copy_of is not None and missing:
            raise rules.broken(
                f"is a copy and has no {' and no '.join(missing)}",
                allowed="copyOf with location, storage and commitmentPlan, all in one region",
            )
        return self


class NewWebService(Target):
    """A target: a New (Azure Resource Manager) web service."""

    kind: Literal["NewWebService"] = "NewWebService"
    spec: NewWebServiceSpec

    IDENTITY: ClassVar[tuple[str, ...]] = ("spec.resourceId",)
    SERVICE: ClassVar[tuple[str, ...]] = IDENTITY
    FIELDS: ClassVar[tuple[str, ...]] = (*IDENTITY, "spec.copyOf", "spec.definition.file", "spec.state")
    REFERENCES: ClassVar[Mapping[str, Reference]] = {"spec.copyOf": Reference("NewWebService", or_id=True)}
    NOUN: ClassVar[str] = "web service"
    CASELESS: ClassVar[bool] = True
    IN_RESOURCE_MANAGER: ClassVar[bool] = True

    def secrets(self) -> Iterator[tuple[str, SecretReference]]:
        """See `Document.secrets`."""
        if self.spec.storage is not None:
            yield "spec.storage.key", self.spec.storage.key
        keys = self.spec.keys
        given = {} if keys is None else {"spec.keys.primary": keys.primary, "spec.keys.secondary": keys.secondary}
        yield from ((field, reference) for field, reference in given.items() if reference is not None)
