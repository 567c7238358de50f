"""What every target says of the models that it serves, and of its probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from reconciler.spec.documents import rules
from reconciler.spec.documents.base import Part, ProbeValue, Text, VersionLabel, shape


class ModelUse(Part):
    """Which version a target serves, and under which name the service knows its trained model."""

    resource: Text = Field(description="Name of the trained model in the predictive experiment.")
    name: str = Field(description="Name of the Model.")
    version: VersionLabel = Field(description="Label of the version to serve; quote it.")


class Probe(Part):
    """Rows to score before and after a change; left out, they are made from the service's swagger."""

    rows: Annotated[tuple[dict[Text, ProbeValue], ...], shape(minItems=1)] = Field(description="Rows by column name.")
    input: Text | None = Field(default=None, description="The web service input's name; the first one if left out.")

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
    model: ModelUse | None = Field(default=None, description="What its one trained model serves.")
    models: Annotated[tuple[ModelUse, ...], shape(minItems=1)] = Field(
        default=(), description="Instead of model, where the service has several trained models."
    )
    probe: Probe | None = None

    @field_validator("models")
    @classmethod
    def _each_resource_once(cls, value: tuple[ModelUse, ...], info: ValidationInfo) -> tuple[ModelUse, ...]:
        if not value:
            raise rules.broken("has no models", allowed="at least one; leave it out to manage none")
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
