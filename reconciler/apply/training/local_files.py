"""Training data in local files: found, checked, identified, and read as one CSV, never in memory as a whole.

The files of a glob become one: the header of the first, then the rows of each, in the order of their paths. A single
file is taken as it is, byte by byte.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from reconciler.apply.training.errors import RecipeError
from reconciler.azure.storage.uploads import Content

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_BOM = b"\xef\xbb\xbf"
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class LocalData:
    """What a ``file`` of a recipe stands for, as it was when it was read.

    Attributes:
        given: As the spec has it.
        files: The files, in the order in which they are joined.
        size: The bytes of the whole.
        sha256: Their hex digest.
        columns: The names in the header; None where that is not known.
    """

    given: str
    files: tuple[Path, ...]
    size: int
    sha256: str
    columns: tuple[str, ...] | None

    @property
    def suffix(self) -> str:
        """By which the service tells the format (classic-protocol 3)."""
        return self.files[0].suffix or ".csv"

    def content(self) -> Content:
        """Return what is uploaded: exactly what was identified, or nothing."""
        return Content(
            self.size, lambda: io.BufferedReader(_Joined(_pieces(self.given, self.files)), _CHUNK), self.sha256
        )


def read_local_data(base: Path, given: str) -> LocalData:
    """Find, check and identify what a ``file`` stands for. Reads all of it, so it takes its time.

    Args:
        base: The directory that it is relative to.
        given: A path, or a glob.

    Raises:
        RecipeError: the file does not exist or cannot be read, is empty, has no rows or is not text, or the files of a
            glob have different headers.
    """
    files = _find(base, given)
    table = _is_table(files)
    digest, size, rows = hashlib.sha256(), 0, not table
    columns = _columns(given, files)
    for piece in _pieces(given, files):
        digest.update(piece.data)
        size += len(piece.data)
        if table and b"\0" in piece.data:
            raise RecipeError(
                "input-format",
                f"Training input {given} is not a text file: it has NUL characters ({_where(files)})",
                "Save it as CSV in UTF-8 (the Unicode text of a spreadsheet is UTF-16)",
            )
        rows = rows or (piece.is_rows and not piece.data.isspace())
    if not rows:
        message = f"Training input {given} has a header and no rows ({_where(files)})"
        raise RecipeError("input-empty", message, "Add rows")
    return LocalData(given, files, size, digest.hexdigest(), columns)


def _where(files: Sequence[Path]) -> str:
    return f"{files[0]}" if len(files) == 1 else f"{len(files)} files"


def _find(base: Path, given: str) -> tuple[Path, ...]:
    path = base / given
    if not glob.has_magic(given) or path.exists():
        return (path,)
    names = glob.glob(given, root_dir=base, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    files = tuple(
        base / name for name in sorted(names, key=lambda name: PurePath(name).parts) if (base / name).is_file()
    )
    if not files:
        raise RecipeError(
            "input-unreadable",
            f"Training input {given}: no file matches the pattern ({path})",
            "Put the files there, or correct the pattern",
        )
    endings = sorted({file.suffix.lower() for file in files})
    if len(files) > 1 and (len(endings) > 1 or endings[0] not in _DELIMITERS):
        raise RecipeError(
            "input-format",
            f"Training input {given} matches {len(files)} files that end in {' and '.join(endings)}. "
            "Only .csv files, or only .tsv files, can be joined",
            "Correct the pattern",
        )
    return files


def _is_table(files: Sequence[Path]) -> bool:
    return files[0].suffix.lower() in _DELIMITERS


@dataclass(frozen=True, slots=True)
class _Piece:
    data: bytes
    is_rows: bool


def _pieces(given: str, files: Sequence[Path]) -> Generator[_Piece, None, None]:
    """Yield the whole content in reading order; the same for a digest and for an upload."""
    first: bytes | None = None
    for position, file in enumerate(files):
        with _opened(given, file) as stream:
            last = b"\n"
            if _is_table(files):
                header = _header(stream)
                if position == 0:
                    yield _Piece(header, is_rows=False)
                    first, last = header, header
                elif first is not None and not _same(first, header, file):
                    raise _different(given, files[0], first, file, header)
            while chunk := _read(given, file, stream):
                last = chunk
                yield _Piece(chunk, is_rows=True)
            if not last.endswith(b"\n") and position + 1 < len(files):
                yield _Piece(b"\n", is_rows=False)


def _opened(given: str, file: Path) -> io.BufferedReader:
    try:
        stream = file.open("rb")
        if not stream.peek(1):
            stream.close()
            raise RecipeError("input-empty", f"Training input {given} is empty ({file})", "Add its content")
    except OSError as error:
        raise _unreadable(given, file, error) from error
    return stream


def _read(given: str, file: Path, stream: io.BufferedReader) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as error:
        raise _unreadable(given, file, error) from error


def _unreadable(given: str, file: Path, error: OSError) -> RecipeError:
    reason = error.strerror or "the file cannot be read"
    return RecipeError(
        "input-unreadable", f"Training input {given}: {reason} ({file})", "Put the file there, or correct the path"
    )


def _header(stream: io.BufferedReader) -> bytes:
    """Return the first record as it stands; a quoted name may go on in the next lines."""
    first = header = stream.readline(_LONGEST_HEADER)
    while header.count(b'"') % 2 and len(header) < _LONGEST_HEADER and (line := stream.readline(_LONGEST_HEADER)):
        header += line
    if header.count(b'"') % 2:
        # Not a quoted name that goes on, but a name with a quote in it.
        stream.seek(len(first))
        return first
    return header


def _names(header: bytes, file: Path) -> tuple[str, ...] | None:
    """Return the names in a header; None where they are unknown: not UTF-8, or cut."""
    if len(header) >= _LONGEST_HEADER:
        return None
    try:
        text = header.decode("utf-8-sig")
        return tuple(next(csv.reader([text], delimiter=_DELIMITERS[file.suffix.lower()]), ()))
    except (UnicodeDecodeError, csv.Error):
        return None


def _columns(given: str, files: Sequence[Path]) -> tuple[str, ...] | None:
    if not _is_table(files):
        return None
    with _opened(given, files[0]) as stream:
        return _names(_header(stream), files[0])


def _same(first: bytes, header: bytes, file: Path) -> bool:
    one, other = _names(first, file), _names(header, file)
    if one is None or other is None:
        return first.removeprefix(_BOM).strip() == header.removeprefix(_BOM).strip()
    return one == other


def _different(given: str, one: Path, first: bytes, other: Path, header: bytes) -> RecipeError:
    names, others = _names(first, one) or (), _names(header, other) or ()
    lacks, more = listed_columns(set(names) - set(others)), listed_columns(set(others) - set(names))
    ways = [f"lacks {lacks}" if lacks else "", f"also has {more}" if more else ""]
    how = " and ".join(filter(None, ways)) or "has its columns in another order"
    return RecipeError(
        "input-headers",
        f"Training input {given}: {other} and {one} have different headers: {other} {how}",
        "Give all files the same columns in the same order, or narrow the pattern",
    )


def listed_columns(names: set[str]) -> str:
    """Column names for a message, the first few of many."""
    shown = ", ".join(f'"{name}"' for name in sorted(names)[:_MOST_NAMED])
    return f"{shown} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else shown


class _Joined(io.RawIOBase):
    """The pieces as a stream."""

    def __init__(self, pieces: Generator[_Piece, None, None]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        """Return itself."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill what can be filled from one piece; 0 at the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece.data
        room = memoryview(buffer)
        count = min(len(room), len(self._left))
        room[:count], self._left = self._left[:count], self._left[count:]
        return count

    def close(self) -> None:
        """Close the file that is being read."""
        self._pieces.close()
        super().close()
