"""The tables of the emulator's README name tests that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
README = TESTS.parents[1] / "reconciler" / "emulator" / "README.md"
HEADER = "| Operation | Section | How sure | Test |"


def tables() -> Iterator[tuple[str, list[str]]]:
    """Each table that names tests: the heading that it stands under, and its rows."""
    heading, rows = "", None
    for line in [*README.read_text("utf-8").splitlines(), ""]:
        if line.startswith("#"):
            heading = line.lstrip("# ").partition(":")[0]
        if line == HEADER:
            rows = []
        elif rows is not None and line.startswith("| "):
            rows.append(line)
        elif rows is not None:
            yield heading, rows[1:]
            rows = None


def test_every_part_of_the_service_has_a_table() -> None:
    headings = {heading for heading, _ in tables()}
    parts = {"Classic management", "Scoring", "Batch Execution", "Web services", "Commitment plans", "Key Vault"}
    assert parts <= headings


@pytest.mark.parametrize(("heading", "rows"), [pytest.param(*table, id=table[0]) for table in tables()])
def test_every_row_names_a_test_that_there_is(heading: str, rows: list[str]) -> None:
    files = {
        path.relative_to(TESTS).with_suffix("").as_posix(): path.read_text("utf-8") for path in TESTS.rglob("test_*.py")
    }
    assert rows
    for row in rows:
        named = re.fullmatch(r"\| .+ \| .+ \| .+ \| `([\w/]*test_\w+)`: ([^|`]+) \|", row)
        assert named, row
        file, sentence = named[1], named[2].replace(" ", "_")
        assert f"def test_{sentence}(" in files[file], row
