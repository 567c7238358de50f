"""What every answer of Azure Resource Manager has in common: its headers, and errors as bodies.

Headers as recorded on every reply of the provider (new-protocol 5, "Headers").
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from reconciler.emulator.arm.errors import ArmError, invalid_json, request_too_large

_log = logging.getLogger(__name__)
_LARGEST_REQUEST = 4 << 20
"""The limit of ARM for a request; larger payloads go by blob."""


@dataclass
class Note:
    """What the common headers have to say of a request, filled in while it is handled.

    Attributes:
        remaining: the headers that show what its caller has left.
        native: ARM answers it itself, and no provider.
    """

    remaining: Mapping[str, str] = field(default_factory=dict)
    native: bool = False


async def answer(
    request: web.Request,
    handle: Callable[[web.Request, Note], Awaitable[web.Response]],
    clock: Callable[[], datetime],
) -> web.Response:
    """Answer a request with `handle`, whose `ArmError` becomes the body, and add the common headers."""
    started = time.perf_counter()
    note = Note()
    try:
        response = await handle(request, note)
    except ArmError as error:
        # Codes only: a message may repeat what the request said.
        _log.info("%s %s: %s", request.method, request.rel_url.raw_path, error.codes)
        response = web.json_response(error.body(), status=error.status, headers=error.headers)
        if not error.details:
            note.native = True
            response.headers["x-ms-failure-cause"] = "gateway"
    headers = response.headers
    correlation = str(uuid.uuid4())
    headers["Cache-Control"] = headers["Pragma"] = "no-cache"
    headers["Expires"] = "-1"
    headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    # The two are equal where ARM itself answers, and only a provider says how long it took [O].
    headers["x-ms-request-id"] = correlation if note.native else str(uuid.uuid4())
    headers["x-ms-correlation-request-id"] = correlation
    headers["x-ms-routing-request-id"] = f"SOUTHCENTRALUS:{clock():%Y%m%dT%H%M%SZ}:{correlation}"
    if not note.native:
        headers["x-ms-request-duration"] = str(int(1000 * (time.perf_counter() - started)))
    headers.update(note.remaining)
    # new-protocol 5: the client's own id is not echoed unless it asks for it [I].
    if request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
        headers["x-ms-client-request-id"] = request.headers.get("x-ms-client-request-id", "")
    return response


def base_url(request: web.Request) -> str:
    """Return the URL by which the client reached this server, for links in the answer."""
    return f"{request.scheme}://{request.host}"


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the body of a write.

    Raises:
        ArmError: 400, if it is not a JSON object; 413, if it is too large.
    """
    if len(await request.read()) > _LARGEST_REQUEST:
        raise request_too_large(_LARGEST_REQUEST)
    try:
        body = await request.json()
    except ValueError as error:  # malformed JSON, or text that is not UTF-8
        raise invalid_json(f"the body is not JSON ({type(error).__name__})") from error
    if not isinstance(body, dict):
        raise invalid_json("the body is not an object")
    return body
