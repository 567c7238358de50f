"""A reverse proxy between the command and the Studio, for making one chosen moment last, or breaking it.

It runs in a thread of the test. A rule takes effect on requests whose method and path it names, at points that need no
timing: before the Studio has seen the request, or after it has done it and before the caller has the reply.

The Studio makes its absolute URLs from the Host header, which is passed on, so what it names leads here as well.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web
from yarl import URL

LONGEST = 120
_NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Exchange:
    """One request and its reply. ``status`` is 0 while there is none, or when the connection was broken."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int = 0
    reply_headers: dict[str, str] = field(default_factory=dict)
    reply: bytes = b""


Forward = Callable[[], Awaitable[None]]
Act = Callable[[Exchange, Forward], Awaitable[bool]]
"""Gives the reply to the exchange, by forwarding it or otherwise; False breaks the connection."""


@dataclass
class Rule:
    """What happens to requests that match; ``left`` is how often it still does, None for always."""

    method: str
    path: re.Pattern[str]
    act: Act
    skip: int = 0
    left: int | None = 1

    def applies(self, exchange: Exchange) -> bool:
        """Whether it is for this request; counts it."""
        if self.left == 0 or self.method != exchange.method or not self.path.search(exchange.path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def end(self) -> None:
        """From now on it is as if there were no rule."""
        self.left = 0


class Hold:
    """A request that waits at the proxy."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._verdict: Future[bool] = Future()

    async def __call__(self) -> bool:
        self._arrived.set()
        return await asyncio.wrap_future(self._verdict)

    def wait(self, process: subprocess.Popen[str] | None = None) -> None:
        """Return when the request is here; fail when the process that should send it has ended without."""
        end = time.monotonic() + LONGEST
        while not self._arrived.wait(0.2):
            if process is not None and process.poll() is not None:
                out, err = process.communicate()
                raise AssertionError(f"it ended before the request that was to be held:\n{out}\n{err}")
            assert time.monotonic() < end, "the request that was to be held never came"

    def go(self) -> None:
        """Let it go on."""
        if not self._verdict.done():
            self._verdict.set_result(True)

    def drop(self) -> None:
        """Break its connection."""
        if not self._verdict.done():
            self._verdict.set_result(False)


class Proxy:
    """The proxy. Paths are regular expressions that are searched for in the path without its query."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.url = ""
        self.exchanges: list[Exchange] = []
        self._rules: list[Rule] = []
        self._holds: list[Hold] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(LONGEST)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hold in self._holds:
            hold.drop()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(LONGEST)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONGEST)
        self._loop.close()

    # -- what a test asks for

    def hold(self, method: str, path: str, *, nth: int = 1, done: bool = False) -> Hold:
        """Keep the nth such request waiting: before it is done, or when it is done and not answered."""
        hold = Hold()
        self._holds.append(hold)

        async def act(_: Exchange, forward: Forward) -> bool:
            if done:
                await forward()
                return await hold()
            if not await hold():
                return False
            await forward()
            return True

        self._add(Rule(method, re.compile(path), act, skip=nth - 1))
        return hold

    def drop(self, method: str, path: str, *, done: bool = False, times: int | None = 1) -> Rule:
        """Break the connection of such requests: before they are done, or when they are done and not answered."""

        async def act(_: Exchange, forward: Forward) -> bool:
            if done:
                await forward()
            return False

        return self._add(Rule(method, re.compile(path), act, left=times))

    def answer(
        self, method: str, path: str, status: int, body: Any = None, *, times: int | None = 1, **headers: str
    ) -> Rule:
        """Answer such requests without passing them on."""

        async def act(exchange: Exchange, _: Forward) -> bool:
            exchange.status = status
            exchange.reply_headers = {name.replace("_", "-"): value for name, value in headers.items()}
            exchange.reply = b"" if body is None else json.dumps(body).encode()
            return True

        return self._add(Rule(method, re.compile(path), act, left=times))

    def reject(self, method: str, path: str, status: int, body: Callable[[Exchange], Any]) -> Rule:
        """Answer such requests with what is made of them, without passing them on; until the rule is ended."""

        async def act(exchange: Exchange, _: Forward) -> bool:
            exchange.status = status
            exchange.reply = json.dumps(body(exchange)).encode()
            return True

        return self._add(Rule(method, re.compile(path), act, left=None))

    def change(self, method: str, path: str, edit: Callable[[Any], Any]) -> Rule:
        """Pass on such requests, and change the JSON of their replies but errors; until the rule is ended."""

        async def act(exchange: Exchange, forward: Forward) -> bool:
            await forward()
            if exchange.status < 400:
                exchange.reply = json.dumps(edit(json.loads(exchange.reply))).encode()
            return True

        return self._add(Rule(method, re.compile(path), act, left=None))

    def seen(self, method: str, path: str) -> list[Exchange]:
        """Such requests so far, whatever became of them."""
        return [one for one in self.exchanges if one.method == method and re.search(path, one.path)]

    # -- how it is done

    def _add(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    async def _start(self) -> str:
        self._session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(request.method, request.path, request.query_string, request.headers, await request.read())
        self.exchanges.append(exchange)

        async def forward() -> None:
            await self._forward(exchange, request.raw_path)

        # A hold that is newer than a change of the same requests is to see them changed: so all of them are asked,
        # and each passes on to the next.
        for rule in self._rules:
            if rule.applies(exchange):
                forward = _through(rule, exchange, forward)
        try:
            await forward()
        except _BrokenOff:
            exchange.status = 0
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return web.Response(status=exchange.status, headers=exchange.reply_headers, body=exchange.reply)

    async def _forward(self, exchange: Exchange, raw_path: str) -> None:
        assert self._session is not None
        headers = {name: value for name, value in exchange.headers.items() if name.lower() not in _NOT_PASSED_ON}
        url = URL(self.upstream + raw_path, encoded=True)
        async with self._session.request(
            exchange.method, url, headers=headers, data=exchange.body or None, allow_redirects=False
        ) as reply:
            exchange.reply = await reply.read()
            exchange.reply_headers = {
                name: value for name, value in reply.headers.items() if name.lower() not in _NOT_PASSED_ON
            }
            exchange.status = reply.status


class _BrokenOff(Exception):
    """The connection is to be broken."""


def _through(rule: Rule, exchange: Exchange, forward: Forward) -> Forward:
    async def act() -> None:
        if not await rule.act(exchange, forward):
            raise _BrokenOff

    return act
