"""Loads fleets of the product's own kinds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconciler.spec import fleet
from reconciler.spec.diagnostics import Diagnostic
from reconciler.spec.fleet import Fleet, Rule
from reconciler.targets import kinds


def load_fleet(paths: Sequence[Path], *rules: Rule) -> Fleet:
    """Return what these files and directories hold; see `reconciler.spec.fleet.load_fleet`."""
    return fleet.load_fleet(paths, kinds.documents(), *rules)


def load_sound(paths: Sequence[Path], *rules: Rule) -> tuple[Fleet, tuple[Diagnostic, ...]]:
    """Return the valid part of them, and their errors; see `reconciler.spec.fleet.load_sound`."""
    return fleet.load_sound(paths, kinds.documents(), *rules)
