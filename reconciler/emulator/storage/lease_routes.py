"""Lease Blob and Lease Container: the same five actions on either."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid4

from aiohttp import web

from reconciler.emulator.storage import leases
from reconciler.emulator.storage.blob_routes import existing
from reconciler.emulator.storage.conditions import Conditions, Stamped
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.exchange import Exchange
from reconciler.emulator.storage.leases import INFINITE, Lease
from reconciler.emulator.storage.xml import http_date

_STATUS: Final = {"acquire": 201, "renew": 200, "change": 200, "release": 200, "break": 202}
_SHORTEST, _LONGEST = 15, 60


async def lease_blob(exchange: Exchange) -> web.StreamResponse:
    """Lease Blob."""
    blob = existing(exchange)
    lease = _outcome(exchange, blob, blob.lease)
    exchange.store.set_lease(exchange.account, exchange.container, exchange.blob, lease)
    return _answer(exchange, blob, lease)


async def lease_container(exchange: Exchange) -> web.StreamResponse:
    """Lease Container: it guards against its deletion alone."""
    container = exchange.store.container(exchange.account, exchange.container)
    lease = _outcome(exchange, container, container.lease)
    exchange.store.set_container_lease(exchange.account, exchange.container, lease)
    return _answer(exchange, container, lease)


def _outcome(exchange: Exchange, subject: Stamped, lease: Lease) -> Lease:
    Conditions.of(exchange.request.headers).check_write(subject, creates=False)
    match exchange.request.headers.get("x-ms-lease-action", "").lower():
        case "acquire":
            proposed = _guid(exchange, "x-ms-proposed-lease-id") or str(uuid4())
            return leases.acquired(lease, proposed, _duration(exchange), exchange.now)
        case "renew":
            return leases.renewed(lease, _needed(exchange, "x-ms-lease-id"), exchange.now)
        case "change":
            proposed = _needed(exchange, "x-ms-proposed-lease-id")
            return leases.changed(lease, _needed(exchange, "x-ms-lease-id"), proposed, exchange.now)
        case "release":
            return leases.released(lease, _needed(exchange, "x-ms-lease-id"))
        case "break":
            return leases.broken(lease, _break_period(exchange), exchange.now)
        case "":
            raise StorageError("MissingRequiredHeader", "x-ms-lease-action is missing.")
        case other:
            raise StorageError("InvalidHeaderValue", f"There is no lease action {other!r}.")


def _answer(exchange: Exchange, subject: Stamped, lease: Lease) -> web.StreamResponse:
    action = exchange.request.headers["x-ms-lease-action"].lower()
    headers = {"ETag": subject.etag, "Last-Modified": http_date(subject.modified)}
    if action == "break":
        headers["x-ms-lease-time"] = str(leases.remaining(lease, exchange.now))
    elif lease.id:
        headers["x-ms-lease-id"] = lease.id
    return exchange.answer(_STATUS[action], headers)


def _duration(exchange: Exchange) -> int:
    seconds = _number(exchange, "x-ms-lease-duration")
    if seconds is None:
        raise StorageError("MissingRequiredHeader", "x-ms-lease-duration is missing.")
    if seconds != INFINITE and not _SHORTEST <= seconds <= _LONGEST:
        raise StorageError("InvalidHeaderValue", "x-ms-lease-duration is 15 to 60 seconds, or -1.")
    return seconds


def _break_period(exchange: Exchange) -> int | None:
    seconds = _number(exchange, "x-ms-lease-break-period")
    if seconds is not None and not 0 <= seconds <= _LONGEST:
        raise StorageError("InvalidHeaderValue", "x-ms-lease-break-period is 0 to 60 seconds.")
    return seconds


def _number(exchange: Exchange, name: str) -> int | None:
    text = exchange.request.headers.get(name)
    try:
        return None if text is None else int(text)
    except ValueError:
        raise StorageError("InvalidHeaderValue", f"{name} is not a number.") from None


def _needed(exchange: Exchange, name: str) -> str:
    found = _guid(exchange, name)
    if found is None:
        raise StorageError("MissingRequiredHeader", f"{name} is missing.")
    return found


def _guid(exchange: Exchange, name: str) -> str | None:
    text = exchange.request.headers.get(name)
    try:
        return str(UUID(text)) if text else None
    except ValueError:
        raise StorageError("InvalidHeaderValue", f"{name} is not a GUID.") from None
