"""``reconcile apply``: apply a plan that `reconcile --dry-run --out` saved, unless it is stale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.options import DEFAULT_STORE, Format


def apply(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The plan: a file of `reconcile --dry-run --out PLAN.json`.")
    ],
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    store: options.StoreUrl = DEFAULT_STORE,
    select: options.Select = None,
    probes: options.Probes = 200,
    output: options.Output = Format.TEXT,
) -> ExitCode:
    """Apply a saved plan, and nothing else.

    A plan is stale if the live state or the specs changed since it was made. A stale plan is refused (exit 3).
    """
    from reconciler.cli.commands.converge import Request, apply_saved

    request = Request(
        specs=tuple(specs or ()),
        cloud=cloud,
        store=store,
        select=tuple(select or ()),
        forced=frozenset(),
        probes=probes,
    )
    return apply_saved(request, plan, output=output)
