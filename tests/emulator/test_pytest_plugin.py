"""The emulator in others' tests: imported as a library, and as a pytest plugin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "reconciler" / "emulator" / "README.md"


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # Neither this session's pytest options nor its workers are those of the project.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def examples() -> list[str]:
    """The Python examples of the README's section for others, in order."""
    section = README.read_text("utf-8").partition("## Use it in your own tests\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.+?)```", section, re.DOTALL)


def test_importing_the_package_loads_no_server(tmp_path: Path) -> None:
    """Workers import it too, and so does a command that never serves."""
    code = (
        "import sys, reconciler.emulator; print(sorted({'aiohttp', 'pydantic', 'azure', 'sklearn'} & set(sys.modules)))"
    )
    ran = run("-c", code, cwd=tmp_path)
    assert ran.stdout == "[]\n", ran.stderr


def test_the_readmes_example_of_the_library_runs(tmp_path: Path) -> None:
    library, *_ = examples()
    script = tmp_path / "library.py"
    script.write_text(library, "utf-8")
    ran = run(str(script), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "Breast Cancer [predictive exp.]" in ran.stdout


def test_the_readmes_example_of_the_plugin_passes_in_a_project_of_its_own(tmp_path: Path) -> None:
    _, conftest, tests = examples()
    (tmp_path / "conftest.py").write_text(conftest, "utf-8")
    (tmp_path / "test_retraining.py").write_text(tests, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", "utf-8")
    ran = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
