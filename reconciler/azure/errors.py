"""What can go wrong on the wire.

::

    StudioError
    ├── CloudError               a cloud file or a region is wrong; nothing was sent
    ├── ConnectionStringError    a storage connection string cannot be used; nothing was sent
    ├── DefinitionError          a New definition does not have the one asset that was looked for
    ├── SwaggerError             a service's swagger does not tell what was to be read from it
    ├── ContentChanged           what was to be uploaded is not any more what it was; nothing was stored
    ├── Unpinnable               the content behind a URL cannot be pinned
    └── ServiceError             a call failed
        ├── SignInError          401, 403, or no token: a better credential is needed
        ├── NotFound             404 from a service that is alive
        ├── Conflict             409, 412: it exists already, or it is busy
        ├── Throttled            429, and 503 with a throttling code: later, and not so fast
        ├── ServiceUnavailable   408, 5xx: later
        ├── LostReply            the connection broke after sending: it may have been done or not
        ├── Unreachable          no connection was made: it was not done
        ├── Retired              the silence of a service that has ended: don't try again
        └── InvalidReply         an answer that is not what the protocol says

Messages name the operation and repeat what the service said; never a query string, a key or a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

RETIREMENT = (
    "Microsoft retired Machine Learning Studio (classic) and its web services on 31 August 2024, "
    "so nothing answers there any more. Use an emulator's cloud file (--cloud)"
)

_SECRETS = (
    # The signature and everything beside it in the query of a URL that a service repeats.
    (re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]+", re.IGNORECASE), r"\1?***"),
    (re.compile(r"(\bsig)(=|%3d)[^&\s\"'<>,;]+", re.IGNORECASE), r"\1\2***"),
    (
        re.compile(r"(AccountKey|SharedAccessSignature|client_secret)(\s*=\s*)[^;&\s\"'<>]+", re.IGNORECASE),
        r"\1\2***",
    ),
    (re.compile(r"\b(Bearer|SharedKey)\s+[^\s\"',;<>]+", re.IGNORECASE), r"\1 ***"),
    # A JSON member, as in an echoed request.
    (
        re.compile(
            r"(\"(?:AccountKey|PrimaryKey|SecondaryKey|primary|secondary|SasBlobToken|access_token|client_secret)\""
            r"\s*:\s*\")[^\"]*",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without what looks like a signature, key or token, and without ``secrets`` as they stand."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class StudioError(Exception):
    """Anything that this room raises on purpose."""


class CloudError(StudioError):
    """A cloud file cannot be used, or a region is not known. Nothing was sent."""


class ConnectionStringError(StudioError):
    """A storage connection string cannot be used. Nothing was sent; the message does not repeat the string."""


class DefinitionError(StudioError):
    """A New definition has no such trained model, or more than one. The message names what is there."""


class SwaggerError(StudioError):
    """A service's swagger document does not tell what was to be read from it: rows to score, or names of a job."""


class ContentChanged(StudioError):
    """What was to be uploaded is not any more what it was when it was looked at. Nothing was stored."""


class Unpinnable(StudioError):
    """The content behind a URL cannot be pinned to one version; the message says why."""


class ServiceError(StudioError):
    """A call failed.

    Attributes:
        operation: What was being done, for people: ``list endpoints of 3f2a…``.
        status: The HTTP status; 0 when there was no answer.
        code: The service's own code (``error.code``), or empty.
        message: What the service said, redacted.
        detail_codes: The codes of ``error.details``, the useful ones (classic-protocol 4.1, new-protocol 3).
        request_id: What the service calls this request (``x-ms-request-id``), else the client's own id.
        retry_after: Seconds after which the service wants to be asked again, if it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        status: int = 0,
        code: str = "",
        detail_codes: tuple[str, ...] = (),
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.operation = operation
        self.status = status
        self.code = code
        self.message = redact(message)
        self.detail_codes = detail_codes
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(self._text())

    def _text(self) -> str:
        codes = "/".join(part for part in (self.code, *self.detail_codes) if part)
        answer = " ".join(part for part in (str(self.status) if self.status else "", codes) if part)
        text = ": ".join(part for part in (self.operation, answer, self.message) if part)
        return f"{text} [request {self.request_id}]" if self.request_id else text

    def has_code(self, *codes: str) -> bool:
        """Whether the service gave one of ``codes``, as its code or as a detail code; letter case aside."""
        given = {part.lower() for part in (self.code, *self.detail_codes)}
        return any(code.lower() in given for code in codes)


class SignInError(ServiceError):
    """The service does not accept the key or token (401, 403), or no token was to be had."""


class NotFound(ServiceError):
    """The service is alive and has no such thing."""


class Conflict(ServiceError):
    """It exists already, or it is being worked on."""


class Throttled(ServiceError):
    """Too many calls; ``retry_after`` may say when to come back."""


class ServiceUnavailable(ServiceError):
    """The service cannot answer now."""


class LostReply(ServiceError):
    """The connection broke after the request was sent: it may have been done or not. Read before repeating."""


class Unreachable(ServiceError):
    """No connection was made, so nothing was done."""


class Retired(ServiceError):
    """Diagnosed: the host is gone, or the resource provider is. Trying again is of no use."""


class InvalidReply(ServiceError):
    """The answer is not what the protocol says: no JSON where JSON belongs, a redirect, a member missing."""
