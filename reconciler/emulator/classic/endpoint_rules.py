"""What the management API lets a caller write to an endpoint: pure checks of names, members and limits.

Members are looked up without regard to case, and unknown ones are ignored: clients send members that duplicate the
URL (classic-protocol 1.6).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.config.settings import Limits
from reconciler.emulator.documents import Document
from reconciler.emulator.execution.errors import refused
from reconciler.emulator.execution.wire_format import member

_NAMES = {
    "hyphens": (re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"), ", with hyphens between them"),
    "alphanumeric": (re.compile(r"[a-z0-9]+"), ""),
}
_TRACE_LEVELS = ("None", "Error", "All")
_THROTTLE_LEVELS = ("Low", "High")
_LIMITS = ("ThrottleLevel", "MaxConcurrentCalls")


@dataclass(frozen=True)
class ResourceUpdate:
    """Another location for one trained model."""

    name: str
    base_location: str
    relative_location: str
    sas_blob_token: str = field(repr=False)


@dataclass(frozen=True)
class EndpointPatch:
    """A checked PATCH body: models to bind, and members to set as they appear on the wire."""

    resources: tuple[ResourceUpdate, ...]
    members: Mapping[str, Any]


@dataclass(frozen=True)
class EndpointRules:
    """The rules of one workspace."""

    limits: Limits
    tier: Literal["standard", "free"]
    behaviour: Behaviour

    def check_name(self, name: str) -> None:
        """Check a name: digits, lower-case letters, perhaps hyphens inside; at most 24 (classic-protocol 1.5, 8)."""
        pattern, hyphens = _NAMES[self.behaviour.endpoint_names]
        if len(name) > self.limits.endpoint_name_length or not pattern.fullmatch(name):
            raise refused(
                "BadArgument",
                f"The endpoint name {name!r} is not allowed: at most {self.limits.endpoint_name_length} digits and "
                f"lower-case letters{hyphens}.",
            )

    def check_count(self, existing: int) -> None:
        """Check that one more endpoint fits (classic-protocol 1.10)."""
        allowed = self.limits.free_tier_endpoints if self.tier == "free" else self.limits.endpoints_per_service
        if existing >= allowed:
            raise refused(
                "InvalidOperation", f"A web service of a {self.tier} workspace has at most {allowed} endpoints."
            )

    def settings(self, body: Mapping[str, Any]) -> Document:
        """Return the members that a PUT sets, with the service's own defaults for the limits (classic-protocol 1.6)."""
        given = self._members(body)
        throttle_level = str(given.get("ThrottleLevel", "Low"))
        settings = {**given, "ThrottleLevel": throttle_level}
        settings["MaxConcurrentCalls"] = self._calls(throttle_level, given.get("MaxConcurrentCalls"))
        prevent_update = member(body, "PreventUpdate")
        if isinstance(prevent_update, bool):
            settings["PreventUpdate"] = prevent_update
        return settings

    def patch(self, body: Mapping[str, Any]) -> EndpointPatch:
        """Return a PATCH body, checked as far as it can be without the endpoint (classic-protocol 1.7)."""
        resources = member(body, "Resources")
        if resources is None:
            resources = []
        if not isinstance(resources, list):
            raise refused("RequestBodyInvalid", "Resources is not an array.")
        updates = tuple(_resource(resource) for resource in resources)
        if len({update.name for update in updates}) < len(updates):
            raise refused("BadArgument", "Resources names one resource twice.")
        members = self._members(body)
        if not updates and not members:
            raise refused("RequestIsEmpty", "The request names nothing that can be patched.")
        return EndpointPatch(updates, members)

    def patched(self, endpoint: Document, patch: EndpointPatch) -> Document:
        """Return the members that a patch changes on an endpoint as it stands."""
        changed = dict(patch.members)
        if self.behaviour.limits_patch == "ignored":
            changed = {name: value for name, value in changed.items() if name not in _LIMITS}
        if "ThrottleLevel" in changed or "MaxConcurrentCalls" in changed:
            level = str(changed.get("ThrottleLevel", endpoint["ThrottleLevel"]))
            calls = changed.get("MaxConcurrentCalls")
            if calls is None and level == endpoint["ThrottleLevel"]:
                calls = endpoint["MaxConcurrentCalls"]
            changed["MaxConcurrentCalls"] = self._calls(level, calls)
        return changed

    def _members(self, body: Mapping[str, Any]) -> Document:
        """Return the settable members of a body that are not null, by their names on the wire."""
        found: Document = {}
        description = member(body, "Description")
        if description is not None:
            if not isinstance(description, str):
                raise refused("RequestBodyInvalid", "Description is not a string.")
            if len(description) > self.limits.description_length:
                raise refused("BadArgument", f"A description has at most {self.limits.description_length} characters.")
            found["Description"] = description
        for name, allowed in (("ThrottleLevel", _THROTTLE_LEVELS), ("DiagnosticsTraceLevel", _TRACE_LEVELS)):
            value = member(body, name)
            if value is not None:
                found[name] = _choice(name, value, allowed)
        calls = member(body, "MaxConcurrentCalls")
        if calls is not None and calls != "":
            found["MaxConcurrentCalls"] = _whole_number("MaxConcurrentCalls", calls)
        if self.tier == "free" and found.get("ThrottleLevel") == "High":
            raise refused(
                "WebServiceConcurrentRequestRequirementInvalid", "A free workspace allows ThrottleLevel Low alone."
            )
        return found

    def _calls(self, throttle_level: str, wanted: int | None) -> int:
        if wanted is None and self.behaviour.default_calls == "byTier" and self.tier == "standard":
            return self.limits.default_high_calls
        if throttle_level == "Low":
            # Low forces its number, and whatever the caller named is dropped (classic-protocol 1.6).
            return self.limits.low_throttle_calls
        if wanted is None:
            return self.limits.default_high_calls
        if wanted > self.limits.max_concurrent_calls:
            raise refused(
                "WebServiceTooManyConcurrentRequestRequirement",
                f"MaxConcurrentCalls is {wanted}; the most is {self.limits.max_concurrent_calls}.",
            )
        if wanted < 1:
            raise refused("WebServiceConcurrentRequestRequirementInvalid", "MaxConcurrentCalls is less than 1.")
        return wanted


def _resource(content: Any) -> ResourceUpdate:
    if not isinstance(content, dict):
        raise refused("RequestBodyInvalid", "An entry of Resources is not an object.")
    name = member(content, "Name")
    if not isinstance(name, str) or not name:
        raise refused("BadArgument", "Resource name is empty string")
    location = member(content, "Location")
    if not isinstance(location, dict):
        raise refused("BadArgument", f"The resource {name!r} has no Location.")
    parts = [member(location, part) for part in ("BaseLocation", "RelativeLocation", "SasBlobToken")]
    if not all(isinstance(part, str) and part.strip() for part in parts):
        raise refused(
            "BadArgument",
            f"The trained model URL of {name!r} is invalid: it needs BaseLocation, RelativeLocation and SasBlobToken.",
        )
    base_location, relative_location, token = (str(part) for part in parts)
    return ResourceUpdate(name, base_location, relative_location, token)


def check_may_change(endpoint: Document, behaviour: Behaviour) -> None:
    """Refuse a change of an endpoint with ``PreventUpdate``, where that means anything (classic-protocol 1.5).

    Raises:
        ServiceError: 400.
    """
    if behaviour.prevent_update == "enforced" and endpoint["PreventUpdate"]:
        raise refused("InvalidOperation", f"The endpoint {endpoint['Name']!r} prevents updates.")


def _choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    for choice in allowed:
        if isinstance(value, str) and value.lower() == choice.lower():
            return choice
    raise refused("BadArgument", f"{name} is {value!r}; allowed are {', '.join(allowed)}.")


def _whole_number(name: str, value: Any) -> int:
    # A numeric string binds as well: a published client declares the member as one (classic-protocol 1.6).
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value.strip()):
        return int(value)
    raise refused("BadArgument", f"{name} is {value!r}, not a whole number.")
