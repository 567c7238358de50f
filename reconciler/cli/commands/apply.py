"""``reconcile apply``: what `reconcile --dry-run --out` saved is carried out, if it still fits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import options
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.options import DEFAULT_STORE, Format


def apply(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="A plan that --dry-run wrote with --out.")],
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    store: options.StoreUrl = DEFAULT_STORE,
    select: options.Select = None,
    probes: options.Probes = 200,
    output: options.Output = Format.TEXT,
) -> ExitCode:
    """Apply exactly a saved plan; refused (exit 3) if the live state or the specs changed since."""
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
