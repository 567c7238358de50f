"""The log of requests: a line on standard error for each, and the recent ones to read back; never a secret."""

import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from uuid import uuid4

from aiohttp import web

from reconciler.emulator.errors import ServiceError

Kind = Literal["read", "score", "write"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTROL_PREFIX = "/_studio/"
_REMEMBERED = 5000
_SCORING = re.compile(r"/(?:workspaces|subscriptions)/[^/]+/services/[^/]+/execute$")
_SIGN_IN = re.compile(r"/oauth2/(?:v2\.0/)?token$")
# Only these are shown; whatever else a query holds (signatures, a key that someone put there) is not.
_SHOWN_PARAMETERS = frozenset({"api-version", "comp", "restype", "format", "details", "region", "prefix"})

_log = logging.getLogger("reconciler.emulator")


def kind_of(method: str, path: str) -> Kind:
    """What a request does: only reads, scores rows, or changes something.

    Asking for a token changes nothing, though it is a POST.
    """
    if method in {"GET", "HEAD", "OPTIONS"} or _SIGN_IN.search(path):
        return "read"
    return "score" if _SCORING.search(path) else "write"


class RequestLog:
    """Logs each request and remembers the last ones."""

    def __init__(self, *, ids_on_errors: bool = True) -> None:
        self._ids_on_errors = ids_on_errors
        self._recent: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._number = 0

    def recent(self, after: int = 0) -> list[dict[str, Any]]:
        """The requests with a number above the given one, oldest first."""
        return [entry for entry in self._recent if entry["number"] > after]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Times a request, turns what its handler raises into a reply, and logs it."""
        started = time.perf_counter()
        status = 0
        try:
            response = await _answer(request, handler)
            status = response.status
            if not response.prepared and (response.status < 400 or self._ids_on_errors):
                response.headers.setdefault("x-ms-request-id", str(uuid4()))
            return response
        finally:
            if not request.path.startswith(CONTROL_PREFIX):
                self._record(request, status, (time.perf_counter() - started) * 1000)

    def _record(self, request: web.Request, status: int, milliseconds: float) -> None:
        self._number += 1
        shown = "&".join(
            f"{name}={value if name.lower() in _SHOWN_PARAMETERS else '***'}" for name, value in request.query.items()
        )
        kind = kind_of(request.method, request.path)
        self._recent.append(
            {
                "number": self._number,
                "method": request.method,
                "path": request.path,
                "query": shown,
                "status": status,
                "ms": round(milliseconds, 1),
                "kind": kind,
            }
        )
        # raw_path: a line break in a path must not make two lines of one request.
        path = request.rel_url.raw_path + (f"?{shown}" if shown else "")
        # Status 0: the caller went away before there was an answer.
        _log.info("%-6s %s %s %.0f ms %s", request.method, path, status or "---", milliseconds, kind)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
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
