"""Error bodies of Azure Resource Manager and of the Microsoft.MachineLearning resource provider.

ARM itself answers ``{"error": {"code", "message"}}``; the provider answers on two levels,
``{"error": {"code", "message", "details": [{"code", "message"}]}}``, and the code that says what is wrong is the
inner one (new-protocol 3, "Errors"). Codes whose answer is in no recording are marked [I].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class ArmError(Exception):
    """An answer other than success, raised from wherever the request is found to be wrong.

    Attributes:
        status: The HTTP status.
        code: The outer code.
        message: The outer message.
        details: Inner ``(code, message)`` pairs; empty for an error of ARM itself.
        headers: Headers that go with it, such as ``WWW-Authenticate``.
    """

    status: int
    code: str
    message: str
    details: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.codes}: {self.message}"

    @property
    def codes(self) -> str:
        """The outer code and the inner ones, as ``NotFound/WebServiceNotFound``."""
        return "/".join([self.code, *(code for code, _ in self.details)])

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [{"code": code, "message": message} for code, message in self.details]
        return {"error": error}


def web_service_not_found(name: str) -> ArmError:
    """404 as recorded after a delete."""
    return ArmError(
        404,
        "NotFound",
        "The specified resource was not found.",
        [("WebServiceNotFound", f"No Web Service could be found with the provided name: {name}.")],
    )


def bad_request(code: str, message: str) -> ArmError:
    """400 of the provider; only ``CannotChangeStorageAccount`` is confirmed, the other inner codes are [I]."""
    return ArmError(400, "BadRequest", "The request is invalid.", [(code, message)])


def conflict(code: str, message: str) -> ArmError:
    """409 of the provider [I]."""
    return ArmError(409, "Conflict", "The request conflicts with the state of the resource.", [(code, message)])


def operation_not_found(operation_id: str) -> ArmError:
    """404 for an operation that this provider never started [I]."""
    return ArmError(
        404,
        "NotFound",
        "The specified resource was not found.",
        [("OperationNotFound", f"No operation could be found with the provided id: {operation_id}.")],
    )


def per_region_payload_not_found(region: str) -> ArmError:
    """404 as recorded for ``GET ?region=`` of a region that was never prepared."""
    message = (
        f"Web Service Definition for region {region} was not found. Please use the same URL making a POST call and "
        "wait for it succeeded, then try GET again."
    )
    return ArmError(404, "NotFound", "The specified resource was not found.", [("PerRegionPayloadNotFound", message)])


def subscription_not_found(subscription_id: str) -> ArmError:
    """404 of ARM."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription_id}' could not be found.")


def resource_group_not_found(name: str) -> ArmError:
    """404 of ARM."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def missing_api_version() -> ArmError:
    """400 of ARM for a request without ``api-version``."""
    return ArmError(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def unsupported_api_version(version: str, resource_type: str, supported: Sequence[str]) -> ArmError:
    """400 of ARM for an ``api-version`` that the type does not have; the message names those it has."""
    namespace, _, type_name = resource_type.partition("/")
    if not type_name:
        message = f"The api-version '{version}' is invalid. The supported versions are '{','.join(supported)}'."
        return ArmError(400, "InvalidApiVersionParameter", message)
    message = (
        f"No registered resource provider found for API version '{version}' and type '{type_name}' in namespace "
        f"'{namespace}'. The supported api-versions are '{', '.join(supported)}'."
    )
    return ArmError(400, "NoRegisteredProviderFound", message)


def invalid_namespace(namespace: str) -> ArmError:
    """404 of ARM for a provider that does not exist."""
    return ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")


def invalid_type(namespace: str, type_name: str, version: str) -> ArmError:
    """404 of ARM for a type that the provider does not have."""
    message = (
        f"The resource type '{type_name}' could not be found in the namespace '{namespace}' for api version "
        f"'{version}'."
    )
    return ArmError(404, "InvalidResourceType", message)


def invalid_json(reason: str) -> ArmError:
    """400 of ARM for a body that is not a JSON object."""
    return ArmError(
        400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{reason}'."
    )
