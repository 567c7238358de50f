"""The files of a spec tree: finding, reading and replacing them."""

from __future__ import annotations

import codecs
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.spec.diagnostics import Diagnostic, Position, did_you_mean

SUFFIXES = (".yaml", ".yml", ".json")

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WIDE = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
         (codecs.BOM_UTF16_BE, "UTF-16"))  # fmt: skip
_SAVE_AS = "save the file as UTF-8"


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the tree. ``text`` is None when it cannot be read; ``rest`` is then what could still be made out."""

    file: Path
    text: str | None
    rest: str = ""


def spec_files(paths: Sequence[Path], diagnostics: list[Diagnostic]) -> Iterator[Path]:
    """Return the spec files of these files and directories, each once, in sorted order within a directory."""
    seen: set[Path] = set()
    for path in paths:
        for file in _files_of(path, diagnostics):
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                yield file


def _files_of(path: Path, diagnostics: list[Diagnostic]) -> list[Path]:
    try:
        if path.is_dir():
            found = sorted(_walk(path, diagnostics))
            if not found:
                diagnostics.append(
                    Diagnostic(
                        "the directory has no spec files",
                        Position(path),
                        detail=f"looked for {', '.join(SUFFIXES)}",
                    )
                )
            return found
        exists = path.exists()
    except (OSError, ValueError) as error:
        diagnostics.append(Diagnostic(f"cannot be read: {_reason(error)}", Position(path)))
        return []
    if not exists:
        diagnostics.append(Diagnostic("no such file or directory", Position(path), remedy=_nearby(path)))
        return []
    if path.suffix.lower() not in SUFFIXES:
        diagnostics.append(
            Diagnostic("is not a spec file", Position(path), detail=f"allowed: {', '.join(SUFFIXES)}, or a directory")
        )
        return []
    return [path]


def _walk(directory: Path, diagnostics: list[Diagnostic]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        place = Path(error.filename) if error.filename else directory
        diagnostics.append(Diagnostic(f"cannot be read: {_reason(error)}", Position(place)))

    for folder, _, names in os.walk(directory, onerror=unreadable):
        for name in names:
            if name.lower().endswith(SUFFIXES):
                yield Path(folder, name)


def _nearby(path: Path) -> str:
    try:
        return did_you_mean(path.name, (each.name for each in path.parent.iterdir()))
    except OSError:
        return ""


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "the path is not valid"


def read(file: Path, diagnostics: list[Diagnostic]) -> Source:
    """Return the text of a file: UTF-8, with or without a byte order mark, and printable."""
    try:
        # A pipe or device would block, or never end.
        if not file.is_file():
            diagnostics.append(Diagnostic("cannot be read: it is not a regular file", Position(file)))
            return Source(file, None)
        content = file.read_bytes()
    except OSError as error:
        diagnostics.append(Diagnostic(f"cannot be read: {_reason(error)}", Position(file)))
        return Source(file, None)
    for mark, name in _WIDE:
        if content.startswith(mark):
            diagnostics.append(Diagnostic(f"the file is {name}, not UTF-8", Position(file, 1, 1), remedy=_SAVE_AS))
            return Source(file, None, content.decode(name, "replace"))
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        position = _after(file, content[: error.start].decode("utf-8"))
        diagnostics.append(
            Diagnostic(f"the file is not UTF-8: byte 0x{content[error.start]:02x}", position, remedy=_SAVE_AS)
        )
        return Source(file, None, content.decode("utf-8", "replace"))
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        character = ord(unprintable.group())
        wide = character == 0 and text.count("\0") * 3 > len(text)
        remedy = f"this looks like UTF-16 without a byte order mark; {_SAVE_AS}" if wide else "remove it"
        diagnostics.append(
            Diagnostic(
                f"the file has a control character: U+{character:04X}",
                _after(file, text[: unprintable.start()]),
                remedy=remedy,
            )
        )
        return Source(file, None, text.replace("\0", ""))
    return Source(file, text)


def replace_file(file: Path, text: str) -> None:
    """Give a file this text, at once or not at all: a reader finds the old one or the new one, also after a crash.

    The file keeps its mode, and a symbolic link stays one: what it leads to is replaced. A file that is not there is
    made.

    Raises:
        OSError: it cannot be written; it is as it was.
    """
    target = file.resolve()
    # Another suffix than a spec file's, so that no run takes the half-written one for a part of the tree.
    temporary = target.with_name(f".reconcile-{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_definition(text: str) -> bool:
    """Whether a JSON text is the definition of a web service and not a spec document."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    names = {str(name).casefold() for name in content} if isinstance(content, dict) else set()
    return "properties" in names and not names & {"apiversion", "kind", "metadata", "spec"}


def _after(file: Path, text: str) -> Position:
    """Return the place right after this text."""
    return Position(file, text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)
