"""Files that hold blobs' contents: written whole and flushed to the disk, or not there at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

_WRITE_SIZE: Final = 1 << 20
_PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class Content:
    """A complete file.

    Attributes:
        name: the file's name in the directory.
        length: bytes.
        md5: base64 of its MD5, as Content-MD5 has it.
    """

    name: str
    length: int
    md5: str


@dataclass(frozen=True)
class Piece:
    """A part of a file, to be put together with others."""

    name: str
    offset: int
    length: int


class ContentFiles:
    """The files of one directory.

    What `write` and `join` return is on the disk for good: a crash later loses nothing of it. A crash before
    leaves at most a file that nobody refers to, which `sweep` removes.
    """

    def __init__(self, directory: Path, new_id: Callable[[], str]) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._new_id = new_id

    async def write(self, chunks: AsyncIterator[bytes]) -> Content:
        """Write a new file from a stream; the stream's own errors pass through and leave no file."""
        with _Writing(self._directory, self._new_id()) as writing:
            pending = bytearray()
            async for chunk in chunks:
                pending += chunk
                if len(pending) >= _WRITE_SIZE:
                    await asyncio.to_thread(writing.add, bytes(pending))
                    pending.clear()
            return await asyncio.to_thread(writing.finish, bytes(pending))

    async def join(self, pieces: Sequence[Piece]) -> Content:
        """Write a new file from parts of others."""
        return await asyncio.to_thread(self._join, pieces)

    def _join(self, pieces: Sequence[Piece]) -> Content:
        with _Writing(self._directory, self._new_id()) as writing:
            for piece in pieces:
                with self.open(piece.name) as source:
                    source.seek(piece.offset)
                    left = piece.length
                    while left:
                        data = source.read(min(left, _WRITE_SIZE))
                        writing.add(data)
                        left -= len(data)
            return writing.finish(b"")

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; it can be read to its end even if it is discarded meanwhile."""
        return (self._directory / name).open("rb")

    def discard(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self._directory / name).unlink(missing_ok=True)

    def sweep(self, keep: Collection[str]) -> None:
        """Remove every file that is not in `keep`: what a crash left behind."""
        for path in self._directory.iterdir():
            if path.name not in keep:
                path.unlink()


class _Writing:
    """One file while it is being written; leaving the context unfinished removes it."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._partial = directory / f"{name}{_PARTIAL}"
        self._file = self._partial.open("wb")
        self._digest = hashlib.md5(usedforsecurity=False)
        self._length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._length += len(data)

    def finish(self, data: bytes) -> Content:
        self.add(data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.replace(self._directory / self._name)
        # The new name is itself data of the directory, and is lost in a crash unless that is flushed too.
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return Content(self._name, self._length, base64.b64encode(self._digest.digest()).decode())
