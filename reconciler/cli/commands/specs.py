"""``reconcile validate``, ``reconcile fmt`` and ``reconcile schema``: no network."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.options import DEFAULT_SPECS
from reconciler.plan.text import count

if TYPE_CHECKING:
    from reconciler.spec.diagnostics import Diagnostic


def validate(paths: Sequence[Path]) -> ExitCode:
    """Check the specs and the definition files that they name; every mistake at once, each with its place."""
    from reconciler.spec.diagnostics import SpecErrors
    from reconciler.spec.fleet import load_fleet
    from reconciler.targets.new_service.definition.spec_rule import definition_mistakes

    try:
        fleet = load_fleet(paths or (DEFAULT_SPECS,), definition_mistakes)
    except SpecErrors as errors:
        return _mistakes(errors.diagnostics)
    targets = len(fleet.classic_endpoints) + len(fleet.new_web_services)
    print(
        f"valid: {len(fleet.workspaces)} workspaces, {len(fleet.models)} models, {targets} targets "
        f"(revision {fleet.revision})"
    )
    return ExitCode.OK


def _mistakes(diagnostics: Sequence[Diagnostic]) -> ExitCode:
    for diagnostic in diagnostics:
        print(diagnostic, file=sys.stderr)
    print(count(len(diagnostics), "mistake"), file=sys.stderr)
    return ExitCode.ERROR


def fmt(paths: Sequence[Path], *, check: bool, diff: bool) -> ExitCode:
    """Bring spec files into their canonical form, or (with ``check`` or ``diff``) say what that would change.

    Prints the names of the files that it changes or would change. A file with mistakes is left as it is.
    """
    from reconciler.spec.diagnostics import Diagnostic, Position
    from reconciler.spec.loading.files import replace_file, spec_files

    diagnostics: list[Diagnostic] = []
    changed = kept = 0
    for file in spec_files(paths or (DEFAULT_SPECS,), diagnostics):
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
                diagnostics.append(Diagnostic(f"can't be written: {error.strerror}", Position(file)))
                continue
        print(file)
    would = "would be " if check or diff else ""
    print(f"{count(changed, 'file')} {would}formatted, {kept} in form already", file=sys.stderr)
    if diagnostics:
        return _mistakes(diagnostics)
    return ExitCode.ERROR if check and changed else ExitCode.OK


def _forms(file: Path, diagnostics: list[Diagnostic]) -> tuple[str, str] | None:
    """The text of a file and its canonical form; None if it has mistakes, which are added then."""
    from reconciler.spec.diagnostics import Diagnostic, Position
    from reconciler.spec.formatting.formatter import Unformattable, formatted
    from reconciler.spec.loading.loader import Tree, read_file

    tree = Tree()
    read_file(file, tree)
    if tree.diagnostics:
        diagnostics += tree.diagnostics
        return None
    now = file.read_bytes().decode()
    try:
        return now, formatted(now.removeprefix("\ufeff"), as_json=file.suffix.lower() == ".json")
    except Unformattable:
        summary = "its canonical form would not say the same, so it is left as it is"
        remedy = "this is a mistake of reconcile: please report it, with the file"
        diagnostics.append(Diagnostic(summary, Position(file), remedy=remedy))
        return None


def _print_difference(file: Path, now: str, wanted: str) -> None:
    import difflib

    name = str(file)
    lines = difflib.unified_diff(now.splitlines(keepends=True), wanted.splitlines(keepends=True), name, name)
    for line in lines:
        print(line, end="" if line.endswith("\n") else "\n\\ no line end at the end of the file\n")


def schema(kind: str | None) -> ExitCode:
    """Print the JSON Schema of a kind of document, of all of them, or of a plan."""
    from reconciler.plan.document import plan_schema
    from reconciler.spec.documents import KINDS
    from reconciler.spec.json_schema import json_schema

    if kind is not None and kind not in (*KINDS, "plan"):
        raise UserError(f"there is no kind {kind}; there are {', '.join(KINDS)} and plan")
    print(json.dumps(plan_schema() if kind == "plan" else json_schema(kind), indent=2))
    return ExitCode.OK
