"""A server on loopback that answers as a test tells it, misbehavior included."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Peer:
    """A server on loopback that answers as it is told, misbehaviour included.

    ``peer.on("GET", "/x", peer.cuts, peer.says([]))``: breaks the connection once, then answers.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.connections: set[int] = set()
        self.ended = asyncio.Event()
        self._answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        self._default: Answer | None = None

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Give ``answers`` one after the other; the last one is repeated."""
        self._answers[method, path] = list(answers)

    def on_everything(self, answer: Answer) -> None:
        self._default = answer

    def seen_of(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    @staticmethod
    def says(content: Any, status: int = 200, **headers: str) -> Answer:
        """JSON."""

        async def answer(_: web.Request) -> web.StreamResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.json_response(content, status=status, headers=named)

        return answer

    @staticmethod
    def says_text(text: str, status: int = 200, content_type: str = "text/plain", **headers: str) -> Answer:
        async def answer(_: web.Request) -> web.StreamResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(text=text, status=status, content_type=content_type, headers=named)

        return answer

    @staticmethod
    def refuses(status: int, code: str, message: str = "no", *details: str, **headers: str) -> Answer:
        """An error body of the service's own format."""
        error: dict[str, Any] = {"code": code, "message": message}
        if details:
            error["details"] = [{"code": detail, "message": f"because of {detail}"} for detail in details]
        return Peer.says({"error": error}, status, **headers)

    @staticmethod
    def nothing(status: int = 204) -> Answer:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status)

        return answer

    @staticmethod
    async def cuts(request: web.Request) -> web.StreamResponse:
        """The request was read; the connection breaks before a byte of the answer."""
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    @staticmethod
    async def cuts_in_the_body(request: web.Request) -> web.StreamResponse:
        """The answer breaks off in its middle."""
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"half":')
        assert request.transport is not None
        request.transport.abort()
        return response

    async def hangs(self, _: web.Request) -> web.StreamResponse:
        """No answer while the test runs."""
        await self.ended.wait()
        return web.Response()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.connections.add(id(request.transport))
        self.seen.append(
            Seen(
                request.method,
                request.path,
                dict(request.query),
                {k.lower(): v for k, v in request.headers.items()},
                body,
            )
        )
        answers = self._answers.get((request.method, request.path))
        if not answers:
            if self._default is not None:
                return await self._default(request)
            return web.json_response({"error": {"code": "NotFound", "message": "no such route"}}, status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request)


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    made = Peer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"{'http' if context is None else 'https'}://{host}:{port}"
    yield made
    made.ended.set()
    await runner.cleanup()
