"""Puts content into a blob: in blocks, never as a whole in memory, and only as what it was announced as."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from reconciler.azure.errors import ContentChanged

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

BLOCK = 1 << 20
"""What is not larger goes in one request."""
_BLOCKS_AT_ONCE = 4
_MOST_BLOCKS = 50_000  # of one blob, by the Blob service's own documentation

Progress = Callable[[int, int], None]
"""Takes the bytes sent so far and the bytes there are."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be uploaded.

    Attributes:
        size: Its bytes.
        open: Gives a stream of them, which blocks and is read in another thread.
        sha256: The hex digest that they must have; None if any content will do.
    """

    size: int
    open: Callable[[], BinaryIO]
    sha256: str | None = None

    @classmethod
    def of(cls, path: Path) -> Content:
        """Return a file as it stands. Raises OSError."""
        return cls(path.stat().st_size, lambda: path.open("rb"))


async def send(blob: BlobClient, content: Content, progress: Progress | None = None) -> None:
    """Upload content to a blob that is not there; one that is there is never overwritten.

    Raises:
        ContentChanged: what was read is not what was announced. Nothing was stored.
        OSError: it cannot be read.
        AzureError: storage refuses, the blob is there, or it cannot be reached.
    """
    reader = await asyncio.to_thread(_Reader, content)
    try:
        if content.size <= BLOCK:
            data = await asyncio.to_thread(reader.next, BLOCK)
            await asyncio.to_thread(reader.check)
            await blob.upload_blob(data, length=len(data), overwrite=False)
            if progress is not None:
                progress(content.size, content.size)
        else:
            await _send_blocks(blob, content, reader, progress)
    finally:
        reader.close()


async def _send_blocks(blob: BlobClient, content: Content, reader: _Reader, progress: Progress | None) -> None:
    from azure.core import MatchConditions  # noqa: PLC0415 - as late as the client itself
    from azure.storage.blob import BlobBlock  # noqa: PLC0415

    size = max(BLOCK, -(-content.size // _MOST_BLOCKS))
    # Names of its own: the blocks of another upload to the same blob must not be taken for those of this one.
    names, own = list[str](), uuid.uuid4().hex
    room, sent = asyncio.Semaphore(_BLOCKS_AT_ONCE), 0

    async def put(name: str, data: bytes) -> None:
        nonlocal sent
        try:
            await blob.stage_block(name, data, length=len(data))
        finally:
            room.release()
        sent += len(data)
        if progress is not None:
            progress(sent, content.size)

    try:
        async with asyncio.TaskGroup() as group:
            while data := await asyncio.to_thread(reader.next, size):
                names.append(f"{own}{len(names):08d}")
                await room.acquire()
                group.create_task(put(names[-1], data))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    await asyncio.to_thread(reader.check)
    blocks = [BlobBlock(block_id=name) for name in names]
    await blob.commit_block_list(blocks, match_condition=MatchConditions.IfMissing)


class _Reader:
    """Reads content once, and knows at its end whether it was what it should be."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._stream = content.open()
        self._digest = hashlib.sha256()
        self._read = 0

    def next(self, size: int) -> bytes:
        """Return the next bytes; fewer than ``size`` at the end alone, and none after it."""
        # A file that grows while it is read has no end; it has changed as soon as there is more than there was.
        data = self._stream.read(min(size, self._content.size - self._read + 1))
        self._read += len(data)
        self._digest.update(data)
        return data

    def check(self) -> None:
        """Raise ContentChanged if this was not all, or is not what was announced."""
        more = self._stream.read(1)
        wanted = self._content.sha256
        if self._read != self._content.size or more or wanted not in (None, self._digest.hexdigest()):
            raise ContentChanged("the content changed during the upload, so nothing was stored")

    def close(self) -> None:
        self._stream.close()
