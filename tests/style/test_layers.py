"""The import contracts of the emulator's folders refuse what they are there to refuse, annotations included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from grimp import ImportGraph, build_graph
from importlinter.adapters.user_options import TomlFileUserOptionReader
from importlinter.configuration import configure
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.layers import LayersContract

configure()
SETTINGS = TomlFileUserOptionReader().read_options(str(Path(__file__).parents[2] / "pyproject.toml"))
LAYERS = "The emulator's folders"
NO_CIRCLE = "The emulator's modules"


@pytest.fixture
def imports() -> ImportGraph:
    return build_graph("reconciler", cache_dir=None)


def kept(name: str, imports: ImportGraph) -> bool:
    [options] = [each for each in SETTINGS.contracts_options if each["name"].startswith(name)]
    kind: Any = {"layers": LayersContract, "acyclic_siblings": AcyclicSiblingsContract}[options["type"]]
    contract = kind(name=options["name"], session_options={"root_packages": ["reconciler"]}, contract_options=options)
    return bool(contract.check(imports, verbose=False).kept)


def test_imports_for_annotations_are_counted() -> None:
    assert "exclude_type_checking_imports" not in SETTINGS.session_options


@pytest.mark.parametrize("name", [LAYERS, NO_CIRCLE])
def test_the_emulator_keeps_its_contracts(name: str, imports: ImportGraph) -> None:
    assert kept(name, imports)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("storage.routes", "arm.errors"),
        ("faults.middleware", "storage.xml"),
        ("identity.routes", "arm.errors"),
        ("arm.routes", "classic.services"),
        ("ml.training", "config.studio_file"),
        ("context", "arm.routes"),
    ],
)
def test_an_import_between_folders_that_points_up_or_aside_is_refused(
    importer: str, imported: str, imports: ImportGraph
) -> None:
    imports.add_import(importer=f"reconciler.emulator.{importer}", imported=f"reconciler.emulator.{imported}")

    assert not kept(LAYERS, imports)


def test_a_folder_or_module_without_a_layer_is_refused(imports: ImportGraph) -> None:
    imports.add_module("reconciler.emulator.telemetry")

    assert not kept(LAYERS, imports)


def test_a_circle_inside_a_folder_is_refused(imports: ImportGraph) -> None:
    imports.add_import(importer="reconciler.emulator.faults.rules", imported="reconciler.emulator.faults.registry")

    assert not kept(NO_CIRCLE, imports)
