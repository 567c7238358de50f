"""What `--help` shows, and what it costs to show it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from reconciler.cli.app import _COMMANDS, app

HEAVY = ("aiohttp", "azure", "pydantic", "rich", "sqlalchemy", "yaml", "reconciler.reconciliation", "reconciler.store")


def test_help_imports_no_library_that_a_command_needs_only_when_it_runs() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "reconciler.cli", "--help"]

    listing = subprocess.run(command, capture_output=True, text=True, check=True).stderr

    imported = {line.rpartition("|")[2].strip() for line in listing.splitlines()}
    assert "reconciler.cli.commands.status" in imported
    assert [] == sorted(module for module in imported if module.startswith(HEAVY))


@pytest.mark.parametrize("command", ["", *_COMMANDS])
def test_help_has_examples_with_existing_options_and_no_parser_words(command: str) -> None:
    text = CliRunner().invoke(app, [*command.split(), "--help"]).output

    options, _, examples = text.partition("Examples:")
    assert "  reconcile" in examples
    assert set() == set(re.findall(r"--[a-z-]+", examples.partition("Exit codes:")[0])) - set(
        re.findall(r"--[a-z-]+", options)
    )
    assert [] == re.findall(r"<.*>|\{.*\}|\[\[|list\[", re.sub(r"`.*?`", "", text, flags=re.DOTALL))


def test_each_command_is_summarised_in_one_whole_sentence() -> None:
    text = CliRunner().invoke(app, ["--help"]).output

    summaries = re.findall(r"^  [a-z]+  +(.*)$", text.partition("Commands:")[2].partition("Examples:")[0], re.MULTILINE)
    assert len(_COMMANDS) == len(summaries)
    assert [] == [summary for summary in summaries if not re.search(r"[^.]\.$", summary)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "--output", "markdown"], "Invalid value for '--output': 'markdown'; allowed: 'text', 'json'"),
        (["--probes", "many"], "Invalid value for '--probes': not a whole number"),
        (["history", "--limit", "0"], "Invalid value for '--limit': the minimum is 1"),
        (["--specs", "x", "doctor"], "--specs must come after the command: reconcile doctor --specs ..."),
        (["--specs", "x", "status"], "status does not take --specs"),
    ],
)
def test_a_wrong_command_line_is_explained_in_plain_words(arguments: list[str], message: str) -> None:
    assert message in CliRunner().invoke(app, arguments).stderr
