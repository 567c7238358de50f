"""A small valid fleet to spoil, and ways to load texts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reconciler.spec.diagnostics import Diagnostic, SpecErrors
from reconciler.spec.fleet import Fleet
from tests.support.fleets import load_fleet

VALID = Path(__file__).with_name("valid_fleet.yaml").read_text()

Load = Callable[[Mapping[str, str | bytes]], Fleet]
Mistakes = Callable[[Mapping[str, str | bytes]], list[Diagnostic]]


@pytest.fixture
def valid() -> str:
    """A fleet of one file without a mistake."""
    return VALID


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Writes files into an empty directory and loads that directory as ``specs``."""
    monkeypatch.chdir(tmp_path)

    def load_files(files: Mapping[str, str | bytes]) -> Fleet:
        for name, content in files.items():
            path = tmp_path / "specs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_fleet([Path("specs")])

    return load_files


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    """As `load`, for files with mistakes: what it says of them."""

    def mistakes_of(files: Mapping[str, str | bytes]) -> list[Diagnostic]:
        with pytest.raises(SpecErrors) as raised:
            load(files)
        return list(raised.value.diagnostics)

    return mistakes_of
