"""How an error of a Studio service is worded: with details or without, in camelCase or PascalCase, JSON or plain text.

(classic-protocol 4; what is a setting is in `reconciler.emulator.config.behaviour`.)
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

from aiohttp import web

from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.execution.errors import ServiceError

_THROTTLING = frozenset({"RequestThrottled", "TooManyConcurrentRequests"})
_RETRY_AFTER = timedelta(seconds=1)


class ErrorWording:
    """The replies made of the errors that handlers raise."""

    def __init__(self, behaviour: Behaviour, clock: Callable[[], datetime]) -> None:
        self._behaviour = behaviour
        self._clock = clock

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Turn a `ServiceError` into a reply; any other error passes."""
        try:
            return await handler(request)
        except ServiceError as error:
            return self.reply(error)

    def reply(self, error: ServiceError) -> web.Response:
        """Return the reply on the wire."""
        behaviour = self._behaviour
        throttled = error.status == 503 and any(detail.code in _THROTTLING for detail in error.details)
        status = behaviour.throttle_status if throttled else error.status
        headers = self._retry_after() if error.status == 503 else {}
        if status == 401 and behaviour.unauthorized == "text":
            return web.Response(
                status=401, text=f"Access denied: {error.message} Request id: {uuid4()}.", headers=headers
            )
        body = error.body(details=behaviour.error_details == "shown")
        if behaviour.error_casing == "pascal":
            body = _pascal(body)
        return web.json_response(body, status=status, headers=headers)

    def _retry_after(self) -> dict[str, str]:
        match self._behaviour.retry_after:
            case "seconds":
                return {"Retry-After": f"{_RETRY_AFTER.total_seconds():.0f}"}
            case "date":
                return {"Retry-After": format_datetime(self._clock() + _RETRY_AFTER, usegmt=True)}
        return {}


def _pascal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name[:1].upper() + name[1:]: _pascal(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_pascal(inner) for inner in value]
    return value
