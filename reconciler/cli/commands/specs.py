"""``reconcile validate``, ``reconcile fmt`` and ``reconcile schema``: no network."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options
from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.options import DEFAULT_SPECS
from reconciler.plan.text import count

if TYPE_CHECKING:
    from reconciler.spec.diagnostics import Diagnostic

Paths = Annotated[list[Path] | None, typer.Argument(metavar="PATH", help="Spec files or directories. Default: specs.")]


def validate(paths: Paths = None, specs: options.Specs = None) -> ExitCode:
    """Check the specs without connecting to anything.

    Also checks the definition files that specs name. Reports all errors at once, each with its place.
    """
    from reconciler.spec.diagnostics import SpecErrors
    from reconciler.spec.fleet import load_fleet
    from reconciler.targets import kinds

    try:
        fleet = load_fleet(_given(paths, specs), kinds.documents(), *kinds.rules())
    except SpecErrors as errors:
        return _print_errors(errors.diagnostics)
    print(
        f"valid: {count(len(fleet.workspaces), 'workspace')}, {count(len(fleet.models), 'model')}, "
        f"{count(len(fleet.targets), 'target')} (revision {fleet.revision})"
    )
    return ExitCode.OK


def _given(paths: list[Path] | None, specs: list[Path] | None) -> Sequence[Path]:
    return [*(paths or ()), *(specs or ())] or [DEFAULT_SPECS]


def _print_errors(diagnostics: Sequence[Diagnostic]) -> ExitCode:
    for diagnostic in diagnostics:
        print(diagnostic, file=sys.stderr)
    print(count(len(diagnostics), "error"), file=sys.stderr)
    return ExitCode.ERROR


def fmt(
    paths: Paths = None,
    specs: options.Specs = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; print the files that would change, and exit 1 if any.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; print the differences.")] = False,
) -> ExitCode:
    """Format spec files: order of fields, quotes, indentation.

    Keeps comments. Prints the names of changed files. Leaves a file with errors unchanged, reports it and exits 1.
    """
    from reconciler.spec.diagnostics import Diagnostic, Position
    from reconciler.spec.loading.files import replace_file, spec_files

    diagnostics: list[Diagnostic] = []
    changed = kept = 0
    for file in spec_files(_given(paths, specs), diagnostics):
        forms = _forms(file, diagnostics)
        if forms is None:
            continue
        now, wanted = forms
        if now == wanted:
            kept += 1
            continue
        changed += 1
        if diff:
            _print_difference(file, now, wanted)
            continue
        if not check:
            try:
                replace_file(file, wanted)
            except OSError as error:
                diagnostics.append(Diagnostic(f"cannot be written: {error.strerror}", Position(file)))
                continue
        print(file)
    would = "would be " if check or diff else ""
    print(f"{count(changed, 'file')} {would}formatted, {count(kept, 'file')} already formatted", file=sys.stderr)
    if diagnostics:
        return _print_errors(diagnostics)
    return ExitCode.ERROR if check and changed else ExitCode.OK


def _forms(file: Path, diagnostics: list[Diagnostic]) -> tuple[str, str] | None:
    """Return the text of a file and its canonical form; None if the file has errors, which are added then."""
    from reconciler.spec.diagnostics import Diagnostic, Position
    from reconciler.spec.formatting.formatter import Unformattable, formatted
    from reconciler.spec.loading.loader import Tree, read_file
    from reconciler.targets import kinds

    tree = Tree(kinds.documents())
    read_file(file, tree)
    if tree.diagnostics:
        diagnostics += tree.diagnostics
        return None
    now = file.read_bytes().decode()
    try:
        return now, formatted(now.removeprefix("\ufeff"), tree.kinds, as_json=file.suffix.lower() == ".json")
    except Unformattable:
        summary = "the formatted file would have another meaning, so the file is left unchanged"
        remedy = "this is a bug of reconciler: please report it with the file"
        diagnostics.append(Diagnostic(summary, Position(file), remedy=remedy))
        return None


def _print_difference(file: Path, now: str, wanted: str) -> None:
    import difflib

    name = str(file)
    lines = difflib.unified_diff(now.splitlines(keepends=True), wanted.splitlines(keepends=True), name, name)
    for line in lines:
        print(line, end="" if line.endswith("\n") else "\n\\ No newline at end of file\n")


def schema(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="A kind of document, or `plan`. Default: all kinds of document."),
    ] = None,
) -> ExitCode:
    """Print the JSON Schema of specs or of plans.

    An editor that has the schema checks and completes spec files.
    """
    from reconciler.plan.document import plan_schema
    from reconciler.spec.json_schema import json_schema
    from reconciler.targets import kinds

    known = kinds.documents()
    if kind is not None and kind not in (*known, "plan"):
        raise UserError(f"unknown kind {kind!r}; allowed: {', '.join(known)}, plan")
    print(json.dumps(plan_schema() if kind == "plan" else json_schema(known, kind), indent=2))
    return ExitCode.OK
