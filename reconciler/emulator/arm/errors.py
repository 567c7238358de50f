"""Error bodies of Azure Resource Manager and of the Microsoft.MachineLearning resource provider.

ARM itself answers ``{"error": {"code", "message"}}``; the provider answers on two levels,
``{"error": {"code", "message", "details": [{"code", "message"}]}}``, and the code that says what is wrong is the
inner one (new-protocol 3, "Errors"). Codes whose answer is in no recording are marked [I].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


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
        """Return the JSON body."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [{"code": code, "message": message} for code, message in self.details]
        return {"error": error}


def arm_error_reply(status: int, outer: str, inner: str, message: str) -> web.Response:
    """Return an error that a fault rule orders."""
    error = ArmError(status, outer, message, [(inner, message)] if inner else ())
    return web.json_response(error.body(), status=status)


def provider_gone(request: web.Request) -> web.Response:
    """Return ARM's reply for a resource provider that no longer exists."""
    version = request.query.get("api-version", "")
    error = unsupported_api_version(version, "Microsoft.MachineLearning/webServices", [])
    return web.json_response(error.body(), status=error.status)


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


def resource_not_found(resource_type: str, resource_id: str, name: str | None = None) -> ArmError:
    """404 of ARM as recorded for a commitment plan that does not exist.

    Args:
        resource_type: with its namespace.
        resource_id: of the resource, which is in a resource group.
        name: the last segment of the id if left out.
    """
    segments = resource_id.split("/")
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{resource_type}/{name or segments[-1]}' under resource group '{segments[4]}' was not found.",
    )


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


def no_such_operation(request: web.Request) -> ArmError:
    """404 or 405 for a path or a verb that nothing answers [I]."""
    message = f"No operation {request.method} is known at '{request.path}'."
    return ArmError(405 if request.method not in ("GET", "HEAD") else 404, "InvalidResourceOperation", message)


def request_too_large(limit: int) -> ArmError:
    """413 of ARM, whose requests have a limit; it is why large payloads go by blob."""
    message = f"The request content size exceeds the maximum size of '{limit >> 20} MB'."
    return ArmError(413, "RequestContentTooLarge", message)


def invalid_json(reason: str) -> ArmError:
    """400 of ARM for a body that is not a JSON object."""
    return ArmError(
        400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{reason}'."
    )
