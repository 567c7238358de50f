"""What every target says of the models that it serves, and of its probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from reconciler.spec.documents import rules
from reconciler.spec.documents.base import Document, Part, ProbeValue, Text, VersionLabel, shape

TraceLevel: TypeAlias = Literal["None", "Error", "All"]


class ModelUse(Part):
    """Which version a target serves, and under which name the service knows its trained model."""

    resource: Text = Field(description="Name of the trained model in the predictive experiment.")
    name: str = Field(description="Name of the Model.")
    version: VersionLabel = Field(description="Label of the version to serve; quote it.")


class Probe(Part):
    """Rows to score before and after a change; left out, they are made from the service's swagger."""

    rows: Annotated[tuple[dict[Text, ProbeValue], ...], shape(minItems=1)] = Field(description="Rows by column name.")
    input: Text | None = Field(default=None, description="Name of the web service input. Default: the first input.")

    @field_validator("rows")
    @classmethod
    def _some_row(cls, value: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        if not value:
            raise rules.broken("has no rows", allowed="at least one row")
        return value


class Serving(Part):
    """What the specs of all targets say: which versions they serve, and whether they are to be there at all."""

    state: Literal["present", "absent"] = Field(
        default="present", description="absent deletes the target, but only if it has the ownership marker."
    )
    model: ModelUse | None = Field(default=None, description="The version that the target's one trained model serves.")
    models: Annotated[tuple[ModelUse, ...], shape(minItems=1)] = Field(
        default=(), description="Use instead of model if the service has several trained models."
    )
    probe: Probe | None = None

    @field_validator("models")
    @classmethod
    def _each_resource_once(cls, value: tuple[ModelUse, ...], info: ValidationInfo) -> tuple[ModelUse, ...]:
        if not value:
            raise rules.broken("has no models", allowed="at least one; remove the field to manage no model")
        if info.data.get("model") is not None:
            raise rules.broken("stands beside model", allowed="model or models, not both")
        twice = next((name for name, times in Counter(use.resource for use in value).items() if times > 1), None)
        if twice is not None:
            raise rules.broken(f"names the resource {twice!r} twice", allowed="each resource once")
        return value

    @property
    def bindings(self) -> tuple[ModelUse, ...]:
        """What it serves, by resource; none if no model of it is managed, or it is to be absent."""
        if self.state == "absent":
            return ()
        return tuple(sorted(self.models or filter(None, (self.model,)), key=lambda use: use.resource))


def versions_of(bindings: Sequence[ModelUse]) -> list[str]:
    """Each use as markers name it, ``model@label``."""
    return [f"{use.name}@{use.version}" for use in bindings]


class Target(Document):
    """A document of a target. Targets of all kinds share one space of names."""

    IDENTITY: ClassVar[tuple[str, ...]]
    """The fields that say what the target is on the service; two documents must not say the same."""
    SERVICE: ClassVar[tuple[str, ...]] = ()
    """Those that say which web service it belongs to, if a Model could name that as its training service."""
    NOUN: ClassVar[str]
    """What such a target is called in messages: ``endpoint``."""
    CASELESS: ClassVar[bool] = False
    """Whether the service takes no notice of the case of what identifies a target."""
    IN_RESOURCE_MANAGER: ClassVar[bool] = False
    """Whether it is in Azure Resource Manager, so that a client of that has to be signed in."""

    spec: Serving

    @classmethod
    def identity_of(cls, values: Mapping[str, str], workspace_ids: Mapping[str, str]) -> tuple[str, ...] | None:
        """Return what a target is on the service, as far as that is known offline; None if a field is missing.

        Args:
            values: What a document says in its fields.
            workspace_ids: The ids of workspaces by the names of their documents.
        """
        if not all(field in values for field in cls.IDENTITY):
            return None
        return tuple(cls._canonical(field, values[field], workspace_ids) for field in cls.IDENTITY)

    @classmethod
    def service_of(cls, values: Mapping[str, str]) -> tuple[str, ...] | None:
        """Return which web service a target belongs to, to be compared with training services; None if unknown."""
        if not cls.SERVICE or not all(field in values for field in cls.SERVICE):
            return None
        return tuple(cls._canonical(field, values[field], {}) for field in cls.SERVICE)

    @classmethod
    def _canonical(cls, field: str, value: str, workspace_ids: Mapping[str, str]) -> str:
        if field in cls.REFERENCES:
            return workspace_ids[value].lower() if value in workspace_ids else value
        return value.lower() if cls.CASELESS else value

    def identity(self, workspace_ids: Mapping[str, str]) -> tuple[str, ...]:
        """Return what the target is on the service; see `identity_of`."""
        found = self.identity_of({field: str(self.at(field)) for field in self.IDENTITY}, workspace_ids)
        if found is None:
            raise AssertionError("a document has all fields of its identity")
        return found
