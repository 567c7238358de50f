"""The table of the emulator's README names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parents[2] / "reconciler" / "emulator" / "README.md"


def test_every_row_names_a_test_that_there_is():
    section = README.read_text("utf-8").partition("## Azure Resource Manager\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    rows = [row for row in rows if not row.startswith("| Operation |")]
    assert len(rows) > 50
    for row in rows:
        named = re.search(r"\| `(test_arm_\w+)`: ([^|]+) \|$", row)
        assert named, row
        file, sentence = named[1], named[2].replace(" ", "_")
        assert f"def test_{sentence}(" in (HERE / f"{file}.py").read_text("utf-8"), row
