"""CI fails when a test was skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("ci", "code", "outcome"), [("true", 1, "In CI every test has to run"), ("", 0, "1 skipped")])
@pytest.mark.parametrize(
    "skip", ["@pytest.mark.skip(reason='no browser')\ndef test(): ...", "pytest.skip('no browser')"]
)
def test_a_skipped_test_fails_in_ci_alone(tmp_path: Path, skip: str, ci: str, code: int, outcome: str) -> None:
    body = skip if skip.startswith("@") else f"def test():\n    {skip}"
    (tmp_path / "test_it.py").write_text(f"import pytest\n{body}\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.support.no_skips",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
    ]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)}

    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False, env=environment)

    assert (code, True) == (done.returncode, outcome in done.stdout), done.stdout
    assert "no browser" in done.stdout or not ci
