"""Every path, module and name of code in the documents exists."""

import importlib
import re
from pathlib import Path

import pytest

from reconciler.spec.documents import API_VERSION

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", ".github/CONTRIBUTING.md", "reconciler/ARCHITECTURE.md", "reconciler/PROTOCOLS.md"]
TOP = r"(?:reconciler|tests|specs|\.github|\.ci)"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_path_exists(document):
    file = ROOT / document
    text = file.read_text(encoding="utf-8")
    linked = {target.partition("#")[0] for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)}
    missing = {target for target in linked - {""} if not (file.parent / target).exists()}
    named = set(re.findall(rf"(?<![\w/.-]){TOP}/[\w./*-]*[\w*]", text))
    missing |= {path for path in named - {API_VERSION} if not any(ROOT.glob(path))}
    assert set() == missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_name_of_code_exists(document):
    """``plan/decide.py: make_plan`` and ``reconciler.plan.decide.make_plan`` both name a function."""
    text = (ROOT / document).read_text(encoding="utf-8")
    missing = []
    for path, names in re.findall(r"`([\w/]+\.py)`:\s((?:`[\w.]+`(?:,\s|\sand\s)?)+)", text):
        module = importlib.import_module("reconciler." + path.removesuffix(".py").replace("/", "."))
        missing += [f"{path}: {name}" for name in re.findall(r"`([\w.]+)`", names) if not has(module, name)]
    for name in set(re.findall(r"`(reconciler(?:\.\w+)+)`", text)):
        if not importable(name):
            missing.append(name)
    assert [] == missing


def has(thing, dotted):
    for name in dotted.split("."):
        if not hasattr(thing, name):
            return False
        thing = getattr(thing, name)
    return True


def importable(dotted):
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
    except ImportError:
        return bool(module) and has(importlib.import_module(module), name)
    return True
