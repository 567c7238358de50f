"""``reconcile validate`` and ``reconcile schema``: no network."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.failures import UserError
from reconciler.cli.options import DEFAULT_SPECS


def validate(paths: Sequence[Path]) -> ExitCode:
    """Check the specs; every mistake at once, each with its place."""
    from reconciler.spec.diagnostics import SpecErrors
    from reconciler.spec.fleet import load_fleet

    try:
        fleet = load_fleet(paths or (DEFAULT_SPECS,))
    except SpecErrors as errors:
        for diagnostic in errors.diagnostics:
            print(diagnostic, file=sys.stderr)
        count = len(errors.diagnostics)
        print(f"{count} mistake{'' if count == 1 else 's'}", file=sys.stderr)
        return ExitCode.ERROR
    targets = len(fleet.classic_endpoints) + len(fleet.new_web_services)
    print(
        f"valid: {len(fleet.workspaces)} workspaces, {len(fleet.models)} models, {targets} targets "
        f"(revision {fleet.revision})"
    )
    return ExitCode.OK


def schema(kind: str | None) -> ExitCode:
    """Print the JSON Schema of a kind of document, of all of them, or of a plan."""
    from reconciler.plan.schema import plan_schema
    from reconciler.spec.documents import KINDS
    from reconciler.spec.schema import json_schema

    if kind is not None and kind not in (*KINDS, "plan"):
        raise UserError(f"there is no kind {kind}; there are {', '.join(KINDS)} and plan")
    print(json.dumps(plan_schema() if kind == "plan" else json_schema(kind), indent=2))
    return ExitCode.OK
