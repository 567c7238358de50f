"""The forms in which a batch job's data may lie in a blob: .csv, .tsv and .arff (classic-protocol 3).

Everything is CSV inside; only what comes in or goes out in another form is rewritten.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from reconciler.emulator.ml.csv_table import type_of
from reconciler.emulator.ml.types import training_error

_ATTRIBUTE = re.compile(r"@attribute\s+(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|(\S+))\s+\S.*", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")


def to_csv(data: bytes, blob_name: str) -> bytes:
    """Return the data of a blob as CSV.

    Raises:
        TrainingError: 0049, the data cannot be parsed.
    """
    extension = PurePosixPath(blob_name).suffix.lower()
    if extension not in {".tsv", ".arff"}:
        return data
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise training_error("0049", f"The data is not UTF-8 text: byte {error.start} cannot be read.") from None
    try:
        if extension == ".tsv":
            return write_csv(csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True))
        return _arff_to_csv(text)
    except csv.Error as error:
        raise training_error("0049", f"The {extension} data cannot be parsed: {error}.") from None


def from_csv(data: bytes, blob_name: str) -> bytes:
    """Return CSV data in the form that a blob of that name holds."""
    extension = PurePosixPath(blob_name).suffix.lower()
    if extension not in {".tsv", ".arff"}:
        return data
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    if extension == ".tsv":
        target = io.StringIO(newline="")
        csv.writer(target, delimiter="\t", lineterminator="\n").writerows(rows)
        return target.getvalue().encode()
    return _rows_to_arff(rows[0] if rows else [], rows[1:]).encode()


def write_csv(rows: Iterable[Sequence[object]]) -> bytes:
    """Return rows, the header first, as CSV; a missing value (None) is an empty field."""
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue().encode()


def _arff_to_csv(text: str) -> bytes:
    names: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        stripped = line.strip()
        if stripped.lower() == "@data":
            break
        if match := _ATTRIBUTE.fullmatch(stripped):
            names.append(next(part for part in match.groups() if part is not None))
    else:
        raise training_error("0049", "The data cannot be parsed: there is no @data line.")
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("%")]
    rows = csv.reader(kept, quotechar="'", escapechar="\\", skipinitialspace=True, strict=True)
    return write_csv([names, *rows])


def _rows_to_arff(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["@relation data", ""]
    for position, name in enumerate(names):
        numeric = type_of([row[position] for row in rows]) in {"Integer", "Number"}
        lines.append(f"@attribute {_quoted(name)} {'numeric' if numeric else 'string'}")
    lines += ["", "@data", *(",".join(_quoted(value) if value else "?" for value in row) for row in rows), ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
