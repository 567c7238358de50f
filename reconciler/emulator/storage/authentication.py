"""Who may do what in the local storage account: SharedKey, shared access signatures, anonymous reading.

The strings to sign are those that the Blob service documents for each service version (``sv``); the client
library computes the same ones. In path style the account's name stands in the URL's path, and a second time
before it in the canonicalised resource of SharedKey: ``/account/account/container/blob``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final
from urllib.parse import quote, unquote

from yarl import URL

from reconciler.emulator.storage.errors import StorageError

SIGNED_VERSION: Final = "2021-08-06"
"""The service version in the tokens that `sign` makes; any client of the last years can send it."""

BACKDATED: Final = timedelta(minutes=5)
"""How long before now a token starts, so that a client whose clock is a little behind may use it at once."""

_CLOCK_SKEW: Final = timedelta(minutes=15)
_OLDEST_VERSION: Final = "2012-02-12"
_SIGNED_HEADERS: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_OVERRIDES: Final = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}
_EVERYTHING: Final = frozenset("racwdxyltmeiopf")
_PERMISSION_ORDER: Final = "racwdxyltmeiopf"


class Level(Enum):
    """What an operation is done to, by the letter that an account SAS has for it (``srt``)."""

    SERVICE = "s"
    CONTAINER = "c"
    OBJECT = "o"


@dataclass(frozen=True)
class Operation:
    """What a request wants to do.

    Attributes:
        level: what it is done to.
        permissions: letters of which any one is enough.
        by_service_sas: whether a service SAS can allow it at all; most operations on a container need the
            account's key or an account SAS.
    """

    level: Level
    permissions: str
    by_service_sas: bool = True


@dataclass(frozen=True)
class SignedRequest:
    """The parts of a request that its authentication is made of.

    Attributes:
        method: the verb, in capitals.
        raw_path: the path as it stands in the request line, percent-encoded.
        query: decoded names and values, in the order of the request.
        headers: the headers; looked up case-insensitively.
        scheme: ``http`` or ``https``.
        remote: the caller's address.
    """

    method: str
    raw_path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    scheme: str = "http"
    remote: str | None = None


@dataclass(frozen=True)
class Grant:
    """What an authenticated request may do.

    Attributes:
        permissions: letters as in a SAS.
        overrides: response headers that the SAS asks for.
    """

    permissions: frozenset[str]
    overrides: Mapping[str, str]


_FULL_ACCESS: Final = Grant(_EVERYTHING, {})


def authorize(
    request: SignedRequest,
    operation: Operation,
    *,
    account: str,
    keys: Collection[str],
    container: str | None,
    blob: str | None,
    public: bool,
    now: datetime,
) -> Grant:
    """Decide whether a request is who it says and may do what it asks.

    Args:
        request: the request's authentication.
        operation: what it wants to do.
        account: the storage account's name.
        keys: the account's keys, in base64, either of which will do.
        container: the container that the URL names.
        blob: the blob that the URL names, decoded.
        public: whether anybody may read what the URL names.
        now: the present moment.

    Returns:
        What else the request may do.

    Raises:
        StorageError: 403 with the Blob service's code. A request with no authentication at all is
            AuthenticationFailed too.
    """
    query = dict(request.query)
    headers = {name.lower(): value for name, value in request.headers.items()}
    if "authorization" in headers:
        return _check_shared_key(request, headers, account, keys, now)
    if "sig" in query:
        return _check_token(
            request, query, operation, account=account, keys=keys, container=container, blob=blob, now=now
        )
    if public:
        return Grant(frozenset("rl"), {})
    raise StorageError("AuthenticationFailed", "The request has neither an Authorization header nor a SAS.")


def _check_shared_key(
    request: SignedRequest, headers: Mapping[str, str], account: str, keys: Collection[str], now: datetime
) -> Grant:
    scheme, _, credential = headers["authorization"].partition(" ")
    name, _, signature = credential.partition(":")
    if scheme.lower() != "sharedkey" or not signature:
        raise StorageError("AuthenticationFailed", "Only SharedKey and shared access signatures are known here.")
    if name != account:
        raise StorageError("AuthenticationFailed", "The Authorization header names another account.")
    try:
        sent = parsedate_to_datetime(headers.get("x-ms-date") or headers.get("date") or "")
    except ValueError:
        raise StorageError("AuthenticationFailed", "The request has no valid x-ms-date header.") from None
    if abs(now - sent.replace(tzinfo=sent.tzinfo or UTC)) > _CLOCK_SKEW:
        raise StorageError("AuthenticationFailed", "The x-ms-date header is more than 15 minutes off.")
    if not _matches(keys, signature, shared_key_strings(request, headers, account)):
        raise StorageError("AuthenticationFailed", "The MAC signature in the request is not the computed one.")
    return _FULL_ACCESS


def shared_key_strings(request: SignedRequest, headers: Mapping[str, str], account: str) -> set[str]:
    """Return every string to sign that a well-behaved client may have signed.

    More than one, because clients differ in two places: some normalise the percent-encoding of the path, and
    some order the x-ms- headers by a collation that passes over hyphens.
    """
    standard = [headers.get(name, "") for name in _SIGNED_HEADERS]
    length = _SIGNED_HEADERS.index("content-length")
    if standard[length] == "0":
        standard[length] = ""
    if "x-ms-date" in headers:
        standard[_SIGNED_HEADERS.index("date")] = ""
    own = [(name, " ".join(value.split("\n"))) for name, value in headers.items() if name.startswith("x-ms-")]
    orders = (
        sorted(own),
        sorted(own, key=lambda header: header[0].replace("-", "").replace("_", "\x01")),
    )
    parameters: dict[str, list[str]] = {}
    for name, value in request.query:
        parameters.setdefault(name.lower(), []).append(value)
    query = "".join(f"\n{name}:{','.join(sorted(values))}" for name, values in sorted(parameters.items()))
    paths = {request.raw_path, str(URL(request.raw_path)), quote(unquote(request.raw_path), safe="/~()*!'")}
    return {
        "\n".join([request.method, *standard, ""])
        + "".join(f"{name}:{value}\n" for name, value in order)
        + f"/{account}{path}{query}"
        for order in orders
        for path in paths
    }


def _check_token(
    request: SignedRequest,
    query: Mapping[str, str],
    operation: Operation,
    *,
    account: str,
    keys: Collection[str],
    container: str | None,
    blob: str | None,
    now: datetime,
) -> Grant:
    if len(query) < len(request.query):
        raise StorageError("AuthenticationFailed", "A parameter of the signature is given twice.")
    whole_account = "ss" in query or "srt" in query
    text = account_string(query, account) if whole_account else service_string(query, account, container, blob)
    if not _matches(keys, query["sig"], (text,)):
        raise StorageError("AuthenticationFailed", "Signature did not match.")
    _check_lifetime(query, now)
    _check_origin(request, query)
    if whole_account:
        if "b" not in query.get("ss", ""):
            raise StorageError("AuthorizationServiceMismatch")
        if operation.level.value not in query.get("srt", ""):
            raise StorageError("AuthorizationResourceTypeMismatch")
    permissions = frozenset(query.get("sp", ""))
    blob_only = query.get("sr") == "b" and operation.level is not Level.OBJECT
    if not whole_account and (blob_only or not operation.by_service_sas):
        raise StorageError("AuthorizationPermissionMismatch")
    if permissions.isdisjoint(operation.permissions):
        raise StorageError("AuthorizationPermissionMismatch")
    overrides = {header: query[name] for name, header in _OVERRIDES.items() if name in query}
    return Grant(permissions, overrides)


def account_string(query: Mapping[str, str], account: str) -> str:
    """Return the string to sign of an account SAS; since 2020-12-06 it has a line for the encryption scope."""
    version = _version(query)
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    if version >= "2020-12-06":
        names.append("ses")
    return "\n".join([account, *(query.get(name, "") for name in names), ""])


def service_string(query: Mapping[str, str], account: str, container: str | None, blob: str | None) -> str:
    """Return the string to sign of a service SAS for the blob or the container that a URL names.

    Raises:
        StorageError: AuthenticationFailed if the token is for something that this URL cannot be.
    """
    version = _version(query)
    kind = query.get("sr")
    if query.get("si"):
        raise StorageError("AuthenticationFailed", "There is no stored access policy of that name.")
    if kind not in {"b", "c"} or container is None or (kind == "b" and blob is None):
        raise StorageError("AuthenticationFailed", "The signed resource (sr) does not fit the URL.")
    resource = f"/{account}/{container}" if kind == "c" else f"/{account}/{container}/{blob}"
    if version >= "2015-02-21":
        resource = f"/blob{resource}"
    lines = [*(query.get(name, "") for name in ("sp", "st", "se")), resource, ""]
    if version >= "2015-04-05":
        lines += [query.get("sip", ""), query.get("spr", "")]
    lines.append(version)
    if version >= "2018-11-09":
        # The empty line is the snapshot's time; there are no snapshots here.
        lines += [kind, ""]
    if version >= "2020-12-06":
        lines.append(query.get("ses", ""))
    if version >= "2013-08-15":
        lines += [query.get(name, "") for name in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    return "\n".join(lines)


def _version(query: Mapping[str, str]) -> str:
    version = query.get("sv", "")
    if version < _OLDEST_VERSION:
        raise StorageError("AuthenticationFailed", "The signed version (sv) is missing or too old.")
    return version


def _check_lifetime(query: Mapping[str, str], now: datetime) -> None:
    start, expiry = _moment(query.get("st")), _moment(query.get("se"))
    if expiry is None:
        raise StorageError("AuthenticationFailed", "Signed expiry (se) is missing.")
    if now >= expiry or (start is not None and now < start):
        raise StorageError(
            "AuthenticationFailed",
            f"Signature not valid in the specified time frame: Start [{query.get('st', '')}] - "
            f"Expiry [{query.get('se', '')}] - Current [{now:%a, %d %b %Y %H:%M:%S GMT}]",
        )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise StorageError("AuthenticationFailed", "A signed time (st, se) is not an ISO 8601 time.") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _check_origin(request: SignedRequest, query: Mapping[str, str]) -> None:
    if request.scheme not in query.get("spr", "https,http").split(","):
        raise StorageError("AuthorizationProtocolMismatch")
    allowed = query.get("sip")
    if allowed is None:
        return
    first, _, last = allowed.partition("-")
    try:
        caller, low, high = (int(ipaddress.IPv4Address(a)) for a in (request.remote or "", first, last or first))
    except ValueError:
        raise StorageError("AuthorizationSourceIPMismatch") from None
    if not low <= caller <= high:
        raise StorageError("AuthorizationSourceIPMismatch")


def _matches(keys: Collection[str], signature: str, texts: Iterable[str]) -> bool:
    """Compare in a time that does not depend on how much of the signature was right."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    equal = [hmac.compare_digest(_hmac(key, text), given) for text in texts for key in keys]
    return any(equal)


def _hmac(key: str, text: str) -> bytes:
    return hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()


def sign(
    account: str,
    key: str,
    container: str,
    *,
    permissions: str,
    valid_for: timedelta,
    now: datetime,
    blob: str | None = None,
) -> str:
    """Make a service SAS, with its leading ``?``, as the service puts it into results (classic-protocol 3).

    Args:
        account: the storage account's name.
        key: its key, in base64.
        container: what to give access to, unless `blob` narrows it.
        permissions: letters such as ``rl``, in any order.
        valid_for: how long from now.
        now: the present moment.
        blob: one blob's name; listing is then left out of the permissions, a blob cannot be listed.
    """
    letters = set(permissions) - ({"l"} if blob is not None else set())
    query = {
        "sv": SIGNED_VERSION,
        "sr": "c" if blob is None else "b",
        "st": _stamp(now - BACKDATED),
        "se": _stamp(now + valid_for),
        "sp": "".join(sorted(letters, key=_PERMISSION_ORDER.index)),
    }
    signature = _hmac(key, service_string(query, account, container, blob))
    query["sig"] = base64.b64encode(signature).decode()
    return "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
