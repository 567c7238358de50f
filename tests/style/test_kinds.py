"""The kinds of target are named where they are made, in the one list of them, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2] / "reconciler"
AT_HOME = ("emulator", "targets", "spec/documents")


def test_no_module_beyond_the_list_of_kinds_names_a_kind() -> None:
    named = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        if re.search(r"\b(ClassicEndpoint|NewWebService)s?\b", file.read_text())
    }
    assert set() == {name for name in named if not name.startswith(AT_HOME)}
    assert "targets/kinds.py" in named
