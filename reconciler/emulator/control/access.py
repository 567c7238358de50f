"""Who may use the control API: programs of this machine, and the emulator's own page; no page of another site.

The server listens on loopback alone, and yet a browser of this machine can be made to call it by any page that it
shows. Such a call gives itself away by its ``Origin``, by ``Sec-Fetch-Site``, or, where the other site's name was made
to point here, by its ``Host``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from reconciler.emulator.execution.errors import ServiceError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal(peer: str | None, headers: Mapping[str, str]) -> str | None:
    """Return why a request to the control API is refused; None if it is not.

    Args:
        peer: the address that the connection comes from.
        headers: the request's; letter case of names must not matter.
    """
    if peer is None or not _is_loopback(peer):
        return "it is only for programs of this machine"
    host = headers.get("Host", "")
    name = urlsplit(f"//{host}").hostname or ""
    if name != "localhost" and not _is_loopback(name):
        return f"its host is localhost or a loopback address, not {name!r}"
    origin = headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return "a page of another site may not use it"
    if headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        return "a page of another site may not use it"
    return None


def guard(prefix: str, *pages: str) -> Middleware:
    """Return a middleware that refuses such requests below a path, and for single pages, with 403."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        guarded_path = request.path.startswith(prefix) or request.path in pages
        if guarded_path and (reason := refusal(request.remote, request.headers)) is not None:
            raise ServiceError(403, "ControlRefused", f"The control API refuses this request: {reason}.")
        return await handler(request)

    return guarded


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
