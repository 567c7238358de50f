"""The documents that users write (design 3.1), as frozen values.

In a file the names are camelCase, here they are snake_case. A field left out of a document is None here and
is not managed: the live side keeps what it has. Rules of a single value are in `reconciler.spec.documents.rules`,
rules between documents in `reconciler.spec.references`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from reconciler.spec.documents import rules
from reconciler.spec.documents.base import (
    Container,
    Metadata,
    ModelMetadata,
    Part,
    ResourceId,
    SecretReference,
    Text,
    VersionLabel,
    Whole,
    shape,
)
from reconciler.spec.documents.endpoint_set import EndpointSetSpec
from reconciler.spec.documents.model import (
    BlobInput,
    ClassicTraining,
    DataSource,
    FileInput,
    Gate,
    NewTraining,
    Outputs,
    ReadyLocation,
    ReadyVersion,
    ResolvedTraining,
    Training,
    UrlInput,
)
from reconciler.spec.documents.new_web_service import (
    CommitmentPlanId,
    DefinitionFile,
    JsonPointer,
    NewKeys,
    NewStorage,
    Tags,
)
from reconciler.spec.documents.serving import ModelUse, Probe, Serving, versions_of
from reconciler.spec.documents.tag_rules import TAG_LIMIT

__all__ = [
    "API_VERSION",
    "KINDS",
    "AnyDocument",
    "BlobInput",
    "ClassicEndpoint",
    "ClassicEndpointSpec",
    "ClassicTraining",
    "DataSource",
    "DefinitionFile",
    "Document",
    "EndpointSet",
    "EndpointSetSpec",
    "FileInput",
    "Gate",
    "Metadata",
    "Model",
    "ModelMetadata",
    "ModelSpec",
    "ModelUse",
    "NewKeys",
    "NewSettings",
    "NewStorage",
    "NewTraining",
    "NewWebService",
    "NewWebServiceSpec",
    "Outputs",
    "Part",
    "Probe",
    "ReadyLocation",
    "ReadyVersion",
    "ResolvedTraining",
    "SecretReference",
    "Serving",
    "Storage",
    "Target",
    "ThrottleLevel",
    "TraceLevel",
    "Training",
    "UrlInput",
    "Workspace",
    "WorkspaceSpec",
]

API_VERSION: Literal["reconciler/v1"] = "reconciler/v1"
LOW_THROTTLE_CALLS = 4
"""What ``ThrottleLevel`` Low caps ``MaxConcurrentCalls`` at (classic-protocol 1.5)."""

SET_LABEL = "set"
"""The label under which an endpoint of a set carries the set's name, for ``--select set=NAME``."""

TraceLevel: TypeAlias = Literal["None", "Error", "All"]
ThrottleLevel: TypeAlias = Literal["Low", "High"]


class Document(Part):
    """What all documents have."""

    api_version: Literal["reconciler/v1"] = Field(default=API_VERSION, description="The version of this format.")
    metadata: Metadata

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.metadata.name


class Storage(Part):
    """The storage account that inputs are uploaded to and trained models are written to."""

    connection_string: SecretReference = Field(description="Reference to the account's connection string.")
    secondary_connection_string: SecretReference | None = Field(
        default=None,
        description="Reference to the connection string with the account's other key, which is used when the first "
        "is refused.",
    )
    container: Container = Field(description="Container for inputs and trained models.")


class WorkspaceSpec(Part):
    """A Studio (classic) workspace and how to reach it."""

    id: Annotated[str, AfterValidator(rules.workspace_id), shape(pattern=rules.WORKSPACE_ID_PATTERN)] = Field(
        description="The workspace id, 32 hexadecimal digits."
    )
    region: Text = Field(description="The region as the portal shows it, for example South Central US.")
    tier: Literal["free", "standard"] | None = Field(
        default=None,
        description="What kind of workspace it is, which the service does not tell. A free one has three endpoints a "
        "web service and throttleLevel Low alone; left out, a plan that goes beyond that is warned of.",
    )
    token: SecretReference = Field(description="Reference to the workspace authorization token.")
    storage: Storage


class Workspace(Document):
    """A Studio (classic) workspace that models are trained in and Classic endpoints live in."""

    kind: Literal["Workspace"] = "Workspace"
    spec: WorkspaceSpec


class ModelSpec(Part):
    """A line of trained models: one recipe, and versions of it."""

    workspace: str = Field(description="Name of the Workspace it is trained in.")
    training: Training | None = None
    gates: tuple[Gate, ...] = Field(
        default=(), description="Rules that a version must meet before any target moves to it."
    )
    versions: dict[VersionLabel, ReadyVersion] = Field(
        default_factory=dict, description="Ready-made versions by label; these are not trained."
    )


class Model(Document):
    """A line of trained models with one training recipe."""

    kind: Literal["Model"] = "Model"
    metadata: ModelMetadata
    spec: ModelSpec


class ClassicEndpointSpec(Serving):
    """An added endpoint of a Classic predictive web service."""

    workspace: str = Field(description="Name of the Workspace.")
    web_service: Text = Field(description="Name of the predictive web service if it is unique, else its id.")
    endpoint: Annotated[
        str, AfterValidator(rules.endpoint_name), shape(pattern=rules.ENDPOINT_PATTERN, maxLength=24)
    ] = Field(description="Name of the endpoint; created if absent. Not `default`, which cannot be patched.")
    description: (
        Annotated[
            str,
            AfterValidator(rules.description),
            shape(maxLength=rules.DESCRIPTION_LIMIT - rules.MARKER_ROOM),
        ]
        | None
    ) = Field(default=None, description="Description; the reconciler's marker is added to its end.")
    throttle_level: ThrottleLevel | None = Field(
        default=None, description="Low caps maxConcurrentCalls at 4, High at 200."
    )
    max_concurrent_calls: Annotated[Whole, Field(ge=1, le=200)] | None = Field(
        default=None, description="How many Execute calls may run at once."
    )
    diagnostics: TraceLevel | None = Field(default=None, description="DiagnosticsTraceLevel.")
    refresh: bool = Field(
        default=False,
        description="Refresh it when the default endpoint was republished since; its trained models are kept.",
    )

    @field_validator("models")
    @classmethod
    def _markers_fit(cls, value: tuple[ModelUse, ...]) -> tuple[ModelUse, ...]:
        if rules.room_beside(versions_of(value)) < 0:
            allowed = f"markers of together {rules.DESCRIPTION_LIMIT} characters"
            raise rules.too_many_markers(len(value), "the endpoint's description", allowed)
        return value

    @field_validator("description")
    @classmethod
    def _beside_its_markers(cls, value: str | None, info: ValidationInfo) -> str | None:
        room = rules.room_beside(versions_of(info.data.get("models", ())))
        if value is not None and len(value) > room:
            raise rules.broken(
                f"is too long: {len(value)} characters",
                allowed=f"at most {room} characters beside the markers of its models",
                remedy="shorten it, or the names of the models and their labels",
            )
        return value

    @field_validator("max_concurrent_calls")
    @classmethod
    def _within_throttle(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value > LOW_THROTTLE_CALLS and info.data.get("throttle_level") == "Low":
            raise rules.broken(
                "is more than throttleLevel Low allows",
                allowed=f"1 to {LOW_THROTTLE_CALLS} with Low, 1 to 200 with High",
                remedy="set throttleLevel to High, or lower this",
            )
        return value


class ClassicEndpoint(Document):
    """A target: an added endpoint of a Classic predictive web service."""

    kind: Literal["ClassicEndpoint"] = "ClassicEndpoint"
    spec: ClassicEndpointSpec


class NewSettings(Part):
    """Settings of a New web service that are managed."""

    max_concurrent_calls: Annotated[Whole, Field(ge=4, le=200)] | None = Field(
        default=None, description="realtimeConfiguration.maxConcurrentCalls."
    )
    diagnostics: TraceLevel | None = Field(default=None, description="diagnostics.level.")
    title: Text | None = Field(default=None, description="Its title.")
    description: Text | None = Field(default=None, description="Its description.")
    expose_sample_data: bool | None = Field(
        default=None, description="Whether its API description shows rows of the data that it was made with."
    )


class NewWebServiceSpec(Serving):
    """A New (Azure Resource Manager) web service.

    One that does not exist is created if ``definition`` or ``copyOf`` says of what.
    """

    resource_id: ResourceId = Field(description=rules.RESOURCE_ID_SHAPE)
    settings: NewSettings = Field(default_factory=NewSettings)
    definition: DefinitionFile | None = Field(
        default=None, description="What it is made of, and kept at but for its models, settings and tags."
    )
    copy_of: Text | None = Field(
        default=None,
        description="The service that it is created as a copy of, in another region: a resource id, or the name of a "
        "NewWebService. Needs location, storage and commitmentPlan.",
    )
    location: Text | None = Field(
        default=None, description="The region that it is created in, as in West Europe; it cannot be changed."
    )
    storage: NewStorage | None = None
    commitment_plan: CommitmentPlanId | None = Field(
        default=None, description=f"The plan that pays for it: {rules.COMMITMENT_PLAN_SHAPE}"
    )
    keys: NewKeys | None = None
    tags: Tags = Field(default_factory=dict, description="Tags to set. Other tags are left unchanged.")
    ignore: tuple[JsonPointer, ...] = Field(
        default=(), description="Places of the definition (JSON Pointers) that may differ from the file."
    )
    arm_version: Literal["2017-01-01", "2016-05-01-preview"] = Field(
        default="2017-01-01", description="The api-version that Resource Manager is spoken to in."
    )

    @field_validator("models")
    @classmethod
    def _markers_fit(cls, value: tuple[ModelUse, ...]) -> tuple[ModelUse, ...]:
        if len(", ".join(versions_of(value))) > TAG_LIMIT:
            allowed = f"names of models with their labels of together {TAG_LIMIT} characters"
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
                allowed="copyOf with location, storage and commitmentPlan, which are all of one region",
            )
        return self


class NewWebService(Document):
    """A target: a New (Azure Resource Manager) web service."""

    kind: Literal["NewWebService"] = "NewWebService"
    spec: NewWebServiceSpec


class SetMetadata(Metadata):
    """The metadata of a set, whose name begins the names of what it makes."""

    @field_validator("labels")
    @classmethod
    def _own_label(cls, value: dict[str, str]) -> dict[str, str]:
        if SET_LABEL in value:
            raise rules.broken("has the label 'set', which names the set an endpoint is of", allowed="other labels")
        return value


class EndpointSet(Document):
    """Many models and endpoints from one experiment; expanded into ordinary documents when it is loaded."""

    kind: Literal["EndpointSet"] = "EndpointSet"
    metadata: SetMetadata
    spec: EndpointSetSpec


Target: TypeAlias = ClassicEndpoint | NewWebService
AnyDocument: TypeAlias = Workspace | Model | ClassicEndpoint | NewWebService | EndpointSet

KINDS: Mapping[str, type[AnyDocument]] = {
    "Workspace": Workspace,
    "Model": Model,
    "ClassicEndpoint": ClassicEndpoint,
    "NewWebService": NewWebService,
    "EndpointSet": EndpointSet,
}
