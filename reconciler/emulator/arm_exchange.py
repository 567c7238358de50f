"""What every answer of Azure Resource Manager has in common: its headers, and errors as bodies.

Headers as recorded on every reply of the provider (new-protocol 5, "Headers").
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from reconciler.emulator.arm_errors import ArmError, invalid_json

_log = logging.getLogger(__name__)
_READS_PER_HOUR = 15_000
_WRITES_PER_HOUR = 1_200


class Allowance:
    """The remaining calls of the hour that the rate-limit headers count down.

    The limits are those of the time of the recordings; nothing is refused.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._hour: datetime | None = None
        self._used = {"reads": 0, "writes": 0}

    def header(self, method: str) -> tuple[str, str]:
        """Counts a call, and gives the header that tells what is left."""
        hour = self._clock().replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour, self._used = hour, {"reads": 0, "writes": 0}
        kind, limit = ("reads", _READS_PER_HOUR) if method in ("GET", "HEAD") else ("writes", _WRITES_PER_HOUR)
        self._used[kind] += 1
        return f"x-ms-ratelimit-remaining-subscription-{kind}", str(max(0, limit - self._used[kind]))


async def answer(
    request: web.Request,
    handle: Callable[[web.Request], Awaitable[web.Response]],
    allowance: Allowance,
    clock: Callable[[], datetime],
) -> web.Response:
    """Answers a request with `handle`, whose `ArmError` becomes the body, and adds the common headers."""
    started = time.perf_counter()
    try:
        response = await handle(request)
    except ArmError as error:
        # Codes only: a message may repeat what the request said.
        _log.info("%s %s: %s", request.method, request.rel_url.raw_path, error.codes)
        response = web.json_response(error.body(), status=error.status, headers=error.headers)
    correlation = str(uuid.uuid4())
    headers = response.headers
    headers["Cache-Control"] = headers["Pragma"] = "no-cache"
    headers["Expires"] = "-1"
    headers["x-ms-request-id"] = str(uuid.uuid4())
    headers["x-ms-correlation-request-id"] = correlation
    headers["x-ms-routing-request-id"] = f"SOUTHCENTRALUS:{clock():%Y%m%dT%H%M%SZ}:{correlation}"
    headers["x-ms-request-duration"] = str(int(1000 * (time.perf_counter() - started)))
    name, left = allowance.header(request.method)
    headers[name] = left
    # new-protocol 5: the client's own id is not echoed unless it asks for it [I].
    if request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
        headers["x-ms-client-request-id"] = request.headers.get("x-ms-client-request-id", "")
    return response


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body of a write.

    Raises:
        ArmError: 400, if it is not a JSON object.
    """
    try:
        body = await request.json()
    except ValueError as error:  # malformed JSON, or text that is not UTF-8
        raise invalid_json(f"the body is not JSON ({type(error).__name__})") from error
    if not isinstance(body, dict):
        raise invalid_json("the body is not an object")
    return body
