"""From what went wrong on the wire to the errors of this room.

Two ways in: an answer with an error status (`error_of`), and an exception of azure-core (`connection_error`,
`translated`).
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
)

from reconciler.azure.errors import (
    RETIREMENT,
    Conflict,
    InvalidReply,
    LostReply,
    NotFound,
    Retired,
    ServiceError,
    ServiceUnavailable,
    SignInError,
    Throttled,
    Unreachable,
    redact,
)

_LONGEST_MESSAGE = 500

_BY_STATUS: Mapping[int, type[ServiceError]] = {
    401: SignInError,
    403: SignInError,
    404: NotFound,
    408: ServiceUnavailable,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    429: Throttled,
}

# classic-protocol 4.1: the documented throttle is a 503 with one of these as its detail code.
_THROTTLING = {"requestthrottled", "toomanyconcurrentrequests"}

_NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.InvalidURL)

# The resource manager itself is alive, but nobody there knows Microsoft.MachineLearning/webServices any more.
_NO_PROVIDER = {"noregisteredproviderfound", "invalidresourcetype", "invalidresourcenamespace"}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer says. ``structured``: it is in the service's own format."""

    code: str = ""
    message: str = ""
    detail_codes: tuple[str, ...] = ()
    structured: bool = False


def read_error_body(text: str) -> ErrorBody:
    """Read an error body of any of the forms that were seen; never fails.

    ``{"error": {code, message, details}}`` in any letter case (classic-protocol 4.1 and 4.2, new-protocol 3), Key
    Vault's ``innererror`` in it, a bare ``{code, message}``, storage's XML, a gateway's HTML, plain text, nothing.
    """
    stripped = text.strip()
    if stripped.startswith("<"):
        return _marked_up(stripped)
    try:
        content = json.loads(stripped) if stripped else None
    except (ValueError, RecursionError):
        return ErrorBody(message=_shortened(stripped))
    if isinstance(content, str):
        return ErrorBody(message=_shortened(content))
    members = _lowered(content)
    error = members.get("error", members.get("errorinfo", members))
    if isinstance(error, str):
        # OAuth 2.0's error body (RFC 6749 5.2).
        return ErrorBody(error, _shortened(_text(members.get("error_description"))), structured=True)
    inner = _lowered(error)
    code, message = _text(inner.get("code")), _text(inner.get("message"))
    if not code and not message:
        return ErrorBody(message=_shortened(stripped) if stripped not in {"null", "{}"} else "")
    details = [_lowered(detail) for detail in _listed(inner.get("details"))]
    more = [_text(detail.get("message")) for detail in details]
    return ErrorBody(
        code,
        _shortened(" ".join(dict.fromkeys(part.strip() for part in (message, *more) if part.strip()))),
        _inner_codes(details, _lowered(inner.get("innererror"))),
        structured=True,
    )


def _inner_codes(details: list[dict[str, Any]], innermost: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_text(each.get("code")) for each in (*details, innermost) if each.get("code"))


def _marked_up(text: str) -> ErrorBody:
    code = re.search(r"<Code>([^<]{1,200})</Code>", text)
    if code:
        message = re.search(r"<Message>([^<]*)", text)
        return ErrorBody(code[1], _shortened(message[1]) if message else "", structured=True)
    title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
    return ErrorBody(message=f"a web page, {_shortened(title[1])!r}" if title else "a web page")


def _lowered(value: object) -> dict[str, Any]:
    return {str(key).lower(): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"


def request_id_of(headers: Mapping[str, str], own: str = "") -> str:
    """Return what the service calls the request, else ``own``, the ``x-ms-client-request-id``."""
    return headers.get("x-ms-request-id") or headers.get("x-ms-correlation-request-id") or own


def seconds_after(headers: Mapping[str, str], now: float) -> float | None:
    """``Retry-After`` in seconds, from its number or its date; None when there is none that can be read."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as far as its error messages need it.

    Attributes:
        operation: What was being done, for people.
        url: Where; messages show its host alone.
        own_id: The client's name for the request.
        secrets: What must not come back in a message, as it stands; it may grow while the call is under way.
    """

    operation: str
    url: str
    own_id: str = ""
    secrets: Collection[str] = ()

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def error_of(
    call: Call,
    status: int,
    text: str,
    headers: Mapping[str, str],
    *,
    host_is_alive: bool = True,
    now: float = 0.0,
) -> ServiceError:
    """Return the error that an answer with an error status is.

    Args:
        call: What was asked.
        status: The HTTP status.
        text: The body.
        headers: Letter case of names must not matter.
        host_is_alive: Whether this host has answered before as the service does. A 404 or 410 in no format of
            the service's, from a host of which nothing else was ever heard, means that the service is gone.
        now: The time (seconds since the epoch) that a date in ``Retry-After`` is counted from.
    """
    # Before it is cut to length: a part of a secret would not be known for one.
    body = read_error_body(redact(text, call.secrets))
    code = body.code or headers.get("x-ms-error-code", "")  # storage answers a HEAD with the header alone
    codes = {code.lower(), *(detail.lower() for detail in body.detail_codes)}
    kind: type[ServiceError]
    message = body.message
    if status in {404, 410} and not body.structured and not host_is_alive:
        kind, message = Retired, f"{call.host} returns {status} to every request: {RETIREMENT}"
    elif codes & _NO_PROVIDER:
        kind, message = Retired, f"{message.rstrip('.')}. {RETIREMENT}"
    elif status == 503 and codes & _THROTTLING:
        kind = Throttled
    elif status >= 500:
        kind = ServiceUnavailable
    else:
        kind = _BY_STATUS.get(status, ServiceError)
    return kind(
        message or "the response has no message",
        operation=call.operation,
        status=status,
        code=redact(code, call.secrets),
        detail_codes=body.detail_codes,
        request_id=request_id_of(headers, call.own_id),
        retry_after=seconds_after(headers, now),
    )


def connection_error(call: Call, error: AzureError) -> ServiceError:
    """`Unreachable` or `LostReply`, for a call that got no answer.

    azure-core's transport calls a disconnect after sending a *request* error too, so what aiohttp raised
    decides.
    """
    inner = error.inner_exception or error.__cause__
    reason = _shortened(redact(_reason(inner, error), call.secrets))
    kind: type[ServiceError]
    if isinstance(inner, _NEVER_CONNECTED) or isinstance(error, ServiceRequestTimeoutError):
        kind, message = Unreachable, f"no connection to {call.host}: {reason}"
    else:
        kind, message = LostReply, f"the connection to {call.host} broke before the response arrived: {reason}"
    return kind(message, operation=call.operation, request_id=call.own_id)


def is_unknown_name(error: AzureError) -> bool:
    """Whether the host's name was looked up and is known not to exist."""
    inner = error.inner_exception or error.__cause__
    cause = inner.os_error if isinstance(inner, aiohttp.ClientConnectorError) else None
    # EAI_AGAIN is left out: a machine without a network cannot tell whether the name exists.
    return isinstance(cause, socket.gaierror) and cause.errno in {socket.EAI_NONAME, socket.EAI_NODATA}


def retired_host(call: Call) -> Retired:
    """Return the diagnosis for a host of Studio's own whose name does not exist."""
    message = f"host {call.host} does not exist: {RETIREMENT}"
    return Retired(message, operation=call.operation, request_id=call.own_id)


def _reason(inner: BaseException | None, error: AzureError) -> str:
    cause: BaseException = inner or error
    if isinstance(cause, aiohttp.ClientConnectorError):
        cause = cause.os_error
    # The number of a TLS error is OpenSSL's, not the system's.
    number = cause.errno if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) else None
    if number is not None and number > 0:
        return os.strerror(number)  # asyncio's own text repeats the address instead
    text = (getattr(cause, "strerror", None) or str(cause)).strip()
    return text or type(cause).__name__


def translated(call: Call, error: AzureError) -> ServiceError:
    """Return what an exception of an azure client library is in this room's words."""
    if isinstance(error, ServiceRequestError | ServiceResponseError | IncompleteReadError):
        return connection_error(call, error)
    if isinstance(error, HttpResponseError) and error.response is not None:
        headers: Mapping[str, str] = getattr(error.response, "headers", {})
        return error_of(call, error.status_code or 0, body_of(error), headers)
    kind = SignInError if isinstance(error, ClientAuthenticationError) else InvalidReply
    return kind(_shortened(redact(error.message, call.secrets)), operation=call.operation)


def body_of(error: HttpResponseError) -> str:
    """Return the body of the answer that an azure client library raised for; empty if it was not read."""
    try:
        return str(error.response.text()) if error.response is not None else ""
    except (AzureError, ValueError, LookupError):
        # Not read, or not text: the status still says something.
        return ""
