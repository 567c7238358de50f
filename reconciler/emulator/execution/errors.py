"""Error replies of the Classic management API and of the execution API (classic-protocol 4.1, 4.2)."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Detail:
    """One entry of ``error.details``: the specific code beside the general one of the error."""

    code: str
    message: str
    target: str | None = None


class ServiceError(Exception):
    """An error reply of a Studio service: ``{"error": {"code", "message", "details"?}}``."""

    def __init__(self, status: int, code: str, message: str, *details: Detail) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def response(self) -> web.Response:
        """Return the reply on the wire."""
        return web.json_response(self.body(), status=self.status)

    def body(self, *, details: bool = True) -> dict[str, Any]:
        """Return the JSON body; a management error has no details (classic-protocol 4.2)."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if details and self.details:
            error["details"] = [
                {"code": detail.code, "message": detail.message}
                | ({} if detail.target is None else {"target": detail.target})
                for detail in self.details
            ]
        return {"error": error}


def studio_error_reply(status: int, outer: str, inner: str, message: str) -> web.Response:
    """Return an error that a fault rule orders."""
    return ServiceError(status, outer, message, *([Detail(inner, message)] if inner else [])).response()


# -- the execution API: a general code, and the specific one in the details (classic-protocol 4.1) --


def bad_argument(code: str, message: str) -> ServiceError:
    """400 BadArgument: something about the request itself is wrong."""
    return ServiceError(400, "BadArgument", "Bad or missing argument provided.", Detail(code, message))


def bad_user_argument(code: str, message: str) -> ServiceError:
    """400 BadUserArgument: the rows do not fit the service."""
    return ServiceError(400, "BadUserArgument", "The given data do not fit the service.", Detail(code, message))


def invalid_operation(code: str, message: str) -> ServiceError:
    """400 InvalidOperation: right request, wrong state."""
    return ServiceError(400, "InvalidOperation", "This cannot be done now.", Detail(code, message))


def score_unauthorized() -> ServiceError:
    """401 for a caller whose key is not one of this endpoint."""
    return ServiceError(
        401, "Unauthorized", "Unauthorized.", Detail("ScoreRequestUnauthorized", "Invalid credentials provided.")
    )


def service_unavailable(code: str, message: str) -> ServiceError:
    """503: the documented form of throttling (classic-protocol 4.3)."""
    return ServiceError(503, "ServiceUnavailable", "The service is busy.", Detail(code, message))


def execution_service_not_found(service_id: str) -> ServiceError:
    """404 for an execution URL that belongs to no endpoint."""
    return ServiceError(
        404, "NotFound", "Not found.", Detail("WebServiceNotFound", f"There is no service {service_id!r}.")
    )


# -- the management API: the specific code is the only one (classic-protocol 4.2) --


def refused(code: str, message: str) -> ServiceError:
    """400 of the management API."""
    return ServiceError(400, code, message)


def management_unauthorized() -> ServiceError:
    """401 of the management API."""
    return ServiceError(401, "Unauthorized", "The token or key does not belong to this workspace or endpoint.")


def management_not_found(code: str, message: str) -> ServiceError:
    """404 of the management API."""
    return ServiceError(404, code, message)


async def json_object(request: web.Request, *, empty_is: str, invalid_is: str) -> dict[str, Any]:
    """Return the body of a request as a JSON object.

    Args:
        request: its body is read whole.
        empty_is: the specific code for a request without body.
        invalid_is: the specific code for one that is not a JSON object.

    Raises:
        ServiceError: 400 in the form of the execution API.
    """
    body = await request.read()
    if not body.strip():
        raise bad_argument(empty_is, "The request has no body.")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_argument(invalid_is, f"The request's body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise bad_argument(invalid_is, "The request's body is not a JSON object.")
    return content


def bearer(request: web.Request) -> str | None:
    """Return the token in the Authorization header, unchecked."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def origin(request: web.Request) -> str:
    """Return scheme and host by which the caller reached the server, so that a proxy in front of it works."""
    return f"{request.scheme}://{request.host}"
