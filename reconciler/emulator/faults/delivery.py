"""How a reply goes out when it must not go out as usual."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from aiohttp import web

from reconciler.emulator.faults.registry import ActiveRule, Faults
from reconciler.emulator.faults.visits import Visit

_PIECE = 1 << 16
_HTML = b"<!DOCTYPE html>\n<html><head><title>Gateway</title></head><body><h2>Our services aren't available right now"
HTML_PAGE = _HTML + b"</h2><p>We're working to restore all services as soon as possible.</p></body></html>\n"


async def deliver(
    faults: Faults, visit: Visit, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    """Send a reply, or what the faults leave of it."""
    for active in visit.fired:
        if active.rule.delay_reply is not None and not await pause(faults, active, active.rule.delay_reply):
            visit.dropped = True
    if visit.dropped:
        hang_up(request, reset=visit.reset)
        return response
    if not isinstance(response, web.Response) or response.prepared:
        return response
    body = body_of(response)
    cuts = [active.rule.cut for active in visit.fired if active.rule.cut is not None]
    slow = [(active, active.rule.trickle) for active in visit.fired if active.rule.trickle is not None]
    if not cuts and not slow and len(body) <= _PIECE:
        return response
    sent = web.StreamResponse(status=response.status, reason=response.reason, headers=response.headers)
    if request.method != "HEAD":
        sent.content_length = len(body)
    if cuts:
        sent.force_close()
    await sent.prepare(request)
    kept = body[: min(_length(cut, body) for cut in cuts)] if cuts else body
    for piece in _pieces(kept, slow[0][1].bytes if slow else _PIECE):
        if slow and not await pause(faults, slow[0][0], slow[0][1].every):
            hang_up(request)
            return sent
        await sent.write(piece)
    if cuts and request.transport is not None:
        # Unlike an abort, it sends first what is still waiting to be sent.
        request.transport.close()
    return sent


async def pause(faults: Faults, active: ActiveRule, span: timedelta) -> bool:
    """Wait on account of a rule, no longer than it is in force; False if the emulator ends meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout(span.total_seconds()):
            await active.gone.wait()
    return not faults.closing


def hang_up(request: web.Request, *, reset: bool = False) -> None:
    """Close the connection at once; nothing that waits to be sent is sent."""
    transport = request.transport
    if transport is None:
        return
    if reset and (connection := transport.get_extra_info("socket")) is not None:
        # Closing without lingering is what makes the system send a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def body_of(response: web.Response) -> bytes:
    """Return a reply's body; empty for one that has none."""
    return bytes(response.body) if isinstance(response.body, bytes | bytearray) else b""


def with_body(response: web.Response, body: bytes) -> None:
    """Give a reply another body and its length."""
    response.body = body
    response.headers.pop("Content-Length", None)


def broken(body: bytes) -> bytes:
    """Return the first half, of which the last character is never whole JSON or XML."""
    return body[: len(body) // 2]


def _length(cut: float, body: bytes) -> int:
    return cut if isinstance(cut, int) else int(cut * len(body))


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
