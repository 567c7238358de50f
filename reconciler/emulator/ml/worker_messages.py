"""How the server and its workers write to each other: a JSON object and byte strings, each with its length."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

_LENGTHS: Final = struct.Struct("!IQ")
_LENGTH: Final = struct.Struct("!Q")


@dataclass(frozen=True)
class Message:
    """A call or an answer."""

    body: Mapping[str, Any]
    attachments: tuple[bytes, ...] = ()


def encode(message: Message) -> bytes:
    """Return a message as it goes through a pipe: number of attachments, then each part after its length."""
    body = json.dumps(message.body).encode()
    parts = [_LENGTHS.pack(len(message.attachments), len(body)), body]
    for attachment in message.attachments:
        parts += [_LENGTH.pack(len(attachment)), attachment]
    return b"".join(parts)


def read_message(source: BinaryIO) -> Message | None:
    """Wait for a message; None when the other side has closed the pipe."""
    head = source.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        return None
    count, length = _LENGTHS.unpack(head)
    body = source.read(length)
    attachments = []
    for _ in range(count):
        (size,) = _LENGTH.unpack(source.read(_LENGTH.size))
        attachments.append(source.read(size))
    return Message(json.loads(body), tuple(attachments))


def write_message(target: BinaryIO, message: Message) -> None:
    """Send a message."""
    target.write(encode(message))
    target.flush()


async def receive(source: asyncio.StreamReader) -> Message:
    """Wait for a message.

    Raises:
        asyncio.IncompleteReadError: the other side has gone.
    """
    count, length = _LENGTHS.unpack(await source.readexactly(_LENGTHS.size))
    body = await source.readexactly(length)
    attachments = []
    for _ in range(count):
        (size,) = _LENGTH.unpack(await source.readexactly(_LENGTH.size))
        attachments.append(await source.readexactly(size))
    return Message(json.loads(body), tuple(attachments))
