"""What `--help` shows, and what it costs to show it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("aiohttp", "azure", "pydantic", "rich", "sqlalchemy", "yaml", "reconciler.reconciliation", "reconciler.store")


def test_help_imports_no_library_that_a_command_needs_only_when_it_runs() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "reconciler.cli", "--help"]

    listing = subprocess.run(command, capture_output=True, text=True, check=True).stderr

    imported = {line.rpartition("|")[2].strip() for line in listing.splitlines()}
    assert "reconciler.cli.commands.status" in imported
    assert [] == sorted(module for module in imported if module.startswith(HEAVY))
