"""CSV data with a header, and the types of its columns."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.emulator.ml.types import ColumnType, Scalar, training_error

MISSING: Final = frozenset({"", "?", "NA", "N/A", "NaN", "nan", "null", "NULL"})
"""Texts that stand for a value that is not there."""

_INTEGER: Final = re.compile(r"[+-]?\d{1,18}")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class Table:
    """A CSV's columns as texts, with the types that all their values fit."""

    names: Sequence[str]
    types: Sequence[ColumnType]
    columns: Sequence[Sequence[str]]

    def typed(self, index: int) -> list[Scalar]:
        """Return one column's values by its type, None where missing."""
        column_type = self.types[index]
        return [parse(text, column_type) for text in self.columns[index]]


def read_table(data: bytes) -> Table:
    """Read a CSV: UTF-8, commas, a header row.

    A name that comes twice gets a number, an empty one its position, as Studio does it. Blank lines are
    passed over; a row that is too short is filled up with missing values.

    Raises:
        TrainingError: 0003 if there is no row of data, 0049 if this is no CSV.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise training_error("0049", f"The data is not UTF-8 text: byte {error.start} cannot be read.") from None
    if "\0" in text:
        raise training_error("0049", "The data is not text: it contains a NUL character.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if any(value.strip() for value in row):
                rows.append([value.strip() for value in row])
                if len(row) > len(rows[0]):
                    reason = f"Line {reader.line_num} has {len(row)} values, but the header has {len(rows[0])}."
                    raise training_error("0049", f"The data cannot be parsed. {reason}")
    except csv.Error as error:
        raise training_error("0049", f"Line {reader.line_num} cannot be parsed: {error}.") from None
    if len(rows) < 2:
        raise training_error("0003", "Input data is null or empty: it has no row after the header.")
    width = len(rows[0])
    names = _distinct(rows[0])
    filled = [row + [""] * (width - len(row)) for row in rows[1:]]
    columns = [[row[i] for row in filled] for i in range(width)]
    return Table(names, [type_of(column) for column in columns], columns)


def type_of(values: Sequence[str]) -> ColumnType:
    """Return the narrowest type of all values that are not missing; String if all are."""
    present = [value for value in values if value not in MISSING]
    if not present:
        return "String"
    if all(_INTEGER.fullmatch(value) for value in present):
        return "Integer"
    if all(_NUMBER.fullmatch(value) for value in present):
        return "Number"
    if all(value.lower() in _BOOLEANS for value in present):
        return "Boolean"
    return "String"


def parse(value: object, column_type: ColumnType) -> Scalar:
    """Return a value as its column's type has it, or None for a missing one.

    Texts are read as numbers and booleans, and numbers as booleans and texts, where nothing is lost by it: an
    Integer column takes 1.5 too, because it only happened to hold no fraction when the model was trained.

    Raises:
        TypeError: the value is a list or an object of JSON.
        ValueError: the value cannot be of this type.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or (isinstance(value, str) and value in MISSING):
        return None
    if not isinstance(value, (str, int, float)):
        raise TypeError(type(value).__name__)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if column_type == "String":
        return _as_text(value)
    if isinstance(value, str):
        value = _number(value)
    if column_type == "Boolean":
        if value in (0, 1):
            return bool(value)
        raise ValueError(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return int(value) if column_type == "Integer" else float(value)


def _number(text: str) -> float | bool:
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    raise ValueError(text)


def _as_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _distinct(header: Sequence[str]) -> list[str]:
    names: list[str] = []
    for position, given in enumerate(header, start=1):
        name = wanted = given or f"Col{position}"
        number = 2
        while name in names:
            name = f"{wanted} ({number})"
            number += 1
        names.append(name)
    return names
