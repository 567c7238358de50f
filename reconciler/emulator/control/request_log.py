"""The log of requests: a line on standard error for each, and an entry of the journal; never a secret."""

import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiohttp import web

from reconciler.emulator.context import CONTROL_PREFIX
from reconciler.emulator.control.journal import Journal, Kind
from reconciler.emulator.execution.errors import ServiceError
from reconciler.emulator.faults.operation_names import route_of
from reconciler.emulator.faults.visits import Visit, current

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SCORING = re.compile(r"/(?:workspaces|subscriptions)/[^/]+/services/[^/]+/execute$")
_SIGN_IN = re.compile(r"/oauth2/(?:v2\.0/)?token$")
# Only these are shown; whatever else a query holds (signatures, a key that someone put there) is not.
_SHOWN_PARAMETERS = frozenset({"api-version", "comp", "restype", "format", "details", "region", "prefix"})
_ID_HEADERS = ("x-ms-client-request-id", "x-ms-correlation-request-id")
# What a caller calls its request: an id, and nothing that is long or odd enough to be a key.
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)

_log = logging.getLogger("reconciler.emulator")


def kind_of(method: str, path: str) -> Kind:
    """Return what a request does: only reads, scores rows, or changes something.

    Asking for a token changes nothing, though it is a POST.
    """
    if method in {"GET", "HEAD", "OPTIONS"} or _SIGN_IN.search(path):
        return "read"
    return "score" if _SCORING.search(path) else "write"


class RequestLog:
    """The log of requests.

    Args:
        journal: where to write them down.
        ids_on_errors: whether an error answer has a request id too.
    """

    def __init__(self, journal: Journal, *, ids_on_errors: bool = True) -> None:
        self._journal = journal
        self._ids_on_errors = ids_on_errors

    def recent(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the requests with a number above the given one, oldest first."""
        names = ("number", "method", "path", "query", "status", "ms", "kind")
        return [{name: getattr(entry, name) for name in names} for entry in self._journal.entries(after, caller=None)]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Time a request, log it, and give its reply an id."""
        if request.path == "/" or request.path.startswith(CONTROL_PREFIX):
            return await handler(request)
        at, started = datetime.now(UTC), time.perf_counter()
        status, own_id = 0, ""
        try:
            response = await handler(request)
            status = response.status
            if not response.prepared and (response.status < 400 or self._ids_on_errors):
                response.headers.setdefault("x-ms-request-id", str(uuid4()))
            headers = response.headers
            own_id = headers.get("x-ms-correlation-request-id") or headers.get("x-ms-request-id") or ""
            return response
        finally:
            self._record(request, at, status, (time.perf_counter() - started) * 1000, own_id)

    def _record(self, request: web.Request, at: datetime, status: int, milliseconds: float, own_id: str) -> None:
        visit = current.get() or Visit("other", "client")
        shown = "&".join(
            f"{name}={value if name.lower() in _SHOWN_PARAMETERS else '***'}" for name, value in request.query.items()
        )
        given = next((request.headers[name] for name in _ID_HEADERS if name in request.headers), "")
        entry = self._journal.add(
            at=at.isoformat(timespec="milliseconds"),
            method=request.method,
            path=request.path,
            route="" if visit.operation.startswith("storage.") else route_of(request.path),
            operation=visit.operation,
            query=shown,
            status=0 if visit.dropped else status,
            ms=round(milliseconds, 1),
            kind=kind_of(request.method, request.path),
            caller=visit.caller,
            correlation=given if _ID.fullmatch(given) else own_id,
            fault="; ".join(visit.met),
        )
        # raw_path: a line break in a path must not make two lines of one request.
        path = request.rel_url.raw_path + (f"?{shown}" if shown else "")
        fault = f"[{entry.fault}] " if entry.fault else ""
        # Status 0: there was no answer, or the caller went away before it.
        _log.info("%-6s %s %s %.0f ms %s%s", request.method, path, entry.status or "---", entry.ms, fault, entry.kind)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into a reply."""
    try:
        return await handler(request)
    except ServiceError as error:
        return error.response()
    except web.HTTPException as answer:
        # What aiohttp's router and body reader raise themselves: no route, wrong verb, body too large.
        code = "NotFound" if answer.status == 404 else "BadRequest"
        reply = ServiceError(answer.status, code, f"{answer.reason}: {request.method} {request.path}").response()
        if "Allow" in answer.headers:
            reply.headers["Allow"] = answer.headers["Allow"]
        return reply
    except Exception:  # noqa: BLE001 - the caller gets the service's own 500, the log the traceback
        _log.exception("%s %s failed inside the emulator", request.method, request.rel_url.raw_path)
        return ServiceError(500, "InternalError", "Something failed inside the emulator; see its log.").response()
