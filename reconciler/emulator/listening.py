"""The ports that an emulator listens on, which can be given up for a while and taken back."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

_BACKLOG = 128
_OTHER_PORTS = 20


class PortTaken(RuntimeError):
    """A port that another process listens on."""


@dataclass
class _Port:
    listener: socket.socket
    tls: ssl.SSLContext | None
    server: asyncio.Server | None = None
    starting: asyncio.Task[None] | None = None


class Listening:
    """The server of connections to some ports.

    Args:
        protocol: makes what speaks with one connection.
    """

    def __init__(self, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._protocol = protocol
        self._ports: list[_Port] = []

    async def add(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve the connections to a socket that listens already."""
        port = _Port(listener, tls)
        self._ports.append(port)
        await self._serve(port)

    def refuse(self) -> None:
        """Refuse connections from now on; the port numbers stay taken, and open connections stay open."""
        for port in self._ports:
            address = port.listener.getsockname()
            self._stop(port)
            # Bound and not listening: the system refuses connections, and nobody else gets the number meanwhile.
            port.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            port.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port.listener.bind(address)

    def accept(self) -> None:
        """Accept connections again after `refuse`, from the moment in which this returns."""
        for port in self._ports:
            port.listener.listen(_BACKLOG)
            port.starting = asyncio.get_running_loop().create_task(self._serve(port), name="listening again")

    def close(self) -> None:
        """Give up the ports."""
        for port in self._ports:
            self._stop(port)
        self._ports.clear()

    async def _serve(self, port: _Port) -> None:
        loop = asyncio.get_running_loop()
        port.server = await loop.create_server(self._protocol, sock=port.listener, ssl=port.tls, backlog=_BACKLOG)

    @staticmethod
    def _stop(port: _Port) -> None:
        if port.starting is not None:
            port.starting.cancel()
        if port.server is not None:
            port.server.close()
            port.server = None
        port.listener.close()


def listen(host: str, port: int, *, must: bool) -> socket.socket:
    """Return a listening socket; if the port is taken and not required, on any free one."""
    for _ in range(_OTHER_PORTS):
        try:
            return _listening_at(host, port)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            if must:
                raise PortTaken(f"cannot listen on port {port} of {host}: {error.strerror}") from error
            port = 0
    raise PortTaken(f"no port of {host} is free")


def _listening_at(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Without it, a restart would have to wait for the connections of the last process to time out. With it two may be
    # given the same free port before either listens, and then one of them cannot.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


_SKEW: ContextVar[timedelta] = ContextVar("clock skew", default=timedelta(0))


class SkewedClock:
    """A clock that shows the true time, but for the requests inside `skewed`, and what they set off."""

    def __init__(self, true: Callable[[], datetime]) -> None:
        self.true = true

    def __call__(self) -> datetime:
        """Return the time now, with a time zone."""
        return self.true() + _SKEW.get()


@contextmanager
def skewed(skew: timedelta) -> Iterator[None]:
    """Set clocks ahead by `skew`, for this task and for tasks that it starts."""
    token = _SKEW.set(skew)
    try:
        yield
    finally:
        _SKEW.reset(token)
