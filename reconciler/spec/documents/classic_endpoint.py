"""A ClassicEndpoint: an added endpoint of a Classic predictive web service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from reconciler.spec.documents import rules
from reconciler.spec.documents.base import Reference, Text, Whole, shape
from reconciler.spec.documents.serving import ModelUse, Serving, Target, TraceLevel, versions_of

LOW_THROTTLE_CALLS = 4
"""What ``ThrottleLevel`` Low caps ``MaxConcurrentCalls`` at (classic-protocol 1.5)."""

ThrottleLevel: TypeAlias = Literal["Low", "High"]


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
        default=None, description="How many Execute calls may run at the same time."
    )
    diagnostics: TraceLevel | None = Field(default=None, description="DiagnosticsTraceLevel.")
    refresh: bool = Field(
        default=False,
        description="Refresh the endpoint when its experiment was published again; it keeps its trained models.",
    )

    @field_validator("models")
    @classmethod
    def _markers_fit(cls, value: tuple[ModelUse, ...]) -> tuple[ModelUse, ...]:
        if rules.room_beside(versions_of(value)) < 0:
            allowed = f"markers of {rules.DESCRIPTION_LIMIT} characters in total"
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
                remedy="shorten the description, or the names and labels of the models",
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


class ClassicEndpoint(Target):
    """A target: an added endpoint of a Classic predictive web service."""

    kind: Literal["ClassicEndpoint"] = "ClassicEndpoint"
    spec: ClassicEndpointSpec

    IDENTITY: ClassVar[tuple[str, ...]] = ("spec.workspace", "spec.webService", "spec.endpoint")
    SERVICE: ClassVar[tuple[str, ...]] = ("spec.workspace", "spec.webService")
    FIELDS: ClassVar[tuple[str, ...]] = IDENTITY
    REFERENCES: ClassVar[Mapping[str, Reference]] = {"spec.workspace": Reference("Workspace")}
    NOUN: ClassVar[str] = "endpoint"
