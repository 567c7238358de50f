"""``reconcile import``: spec files for live targets, and the check that a plan over them is empty."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options
from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.local_studio import the_cloud
from reconciler.cli.options import DEFAULT_SPECS, DEFAULT_STORE
from reconciler.plan.text import count
from reconciler.spec.loading.files import replace_file

if TYPE_CHECKING:
    from reconciler.azure.clouds import Cloud
    from reconciler.importing.drafts import Drafts
    from reconciler.importing.workspaces import Meant, NewWorkspace
    from reconciler.plan.document import Plan
    from reconciler.plan.states import Ledger
    from reconciler.spec.fleet import Fleet
    from reconciler.store import Store
    from reconciler.targets.inventory import Scope


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What the options ask for."""

    workspaces: tuple[str, ...]
    specs: tuple[Path, ...]
    new_workspace: NewWorkspace
    scopes: tuple[Scope, ...]
    out: Path
    force: bool
    verify: bool
    cloud: str | None
    store: str
    probes: int


def import_live(
    workspace: Annotated[
        list[str],
        typer.Option(
            "--workspace",
            metavar="NAME|ID|NAME=ID",
            help="The workspace: the name of a Workspace document in --specs, or a workspace id; may be repeated.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The directory to write the files to.")],
    specs: options.Specs = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="REGION", help="The region of a workspace given by its id, as in the portal."),
    ] = None,
    token_env: Annotated[
        str | None,
        typer.Option("--token-env", metavar="VARIABLE", help="Environment variable with the authorization token."),
    ] = None,
    storage_env: Annotated[
        str | None,
        typer.Option(
            "--storage-env", metavar="VARIABLE", help="Environment variable with the storage's connection string."
        ),
    ] = None,
    container: Annotated[
        str | None,
        typer.Option(
            "--container", metavar="NAME", help="The blob container for training data and models. Default: models."
        ),
    ] = None,
    subscription: Annotated[
        str | None,
        typer.Option("--subscription", metavar="ID", help="Also import New web services of this subscription."),
    ] = None,
    resource_group: Annotated[
        list[str] | None,
        typer.Option(
            "--resource-group", metavar="NAME", help="Only New web services of this resource group; may be repeated."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make a plan over the written files; exit 1 unless it is empty.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    cloud: options.CloudName = None,
    store: options.StoreUrl = DEFAULT_STORE,
    probes: options.Probes = 200,
) -> ExitCode:
    """Write spec files for live targets.

    Covers endpoints with their settings, New web services, and their models as far as known. Changes nothing on the
    service. Skips targets that are in --specs already.
    """
    import asyncio

    from reconciler.apply.ledger import read_ledger
    from reconciler.importing.workspaces import NewWorkspace, meant
    from reconciler.store import Store
    from reconciler.targets.inventory import Scope

    if resource_group and subscription is None:
        raise typer.BadParameter("--resource-group requires --subscription")
    if subscription is not None and not options.is_subscription(subscription):
        raise typer.BadParameter(f"--subscription {subscription} is not a subscription id (a GUID)")
    groups: list[str | None] = [*(resource_group or [])] or [None]
    request = ImportRequest(
        workspaces=tuple(workspace),
        specs=tuple(specs or ()),
        new_workspace=NewWorkspace(region, token_env, storage_env, container),
        scopes=tuple(Scope(subscription, group) for group in groups) if subscription is not None else (),
        out=out,
        force=force,
        verify=verify,
        cloud=cloud,
        store=store,
        probes=probes,
    )
    of = meant(request.workspaces, request.specs, DEFAULT_SPECS, request.new_workspace)
    with (
        the_cloud(cloud) as found,
        Store.open(request.store, clock=lambda: datetime.now(UTC), read_only=True) as opened,
    ):
        return asyncio.run(_import(request, of, found, opened, read_ledger(opened)))


async def _import(request: ImportRequest, of: Meant, cloud: Cloud, store: Store, ledger: Ledger) -> ExitCode:
    import asyncio

    from reconciler.importing.drafts import draft
    from reconciler.importing.files import files_of
    from reconciler.importing.known import known_of
    from reconciler.reconciliation import Options, Reconciliation
    from reconciler.spec.secrets import SecretResolver
    from reconciler.targets import kinds
    from reconciler.targets.clients import Clients
    from reconciler.targets.inventory import joined

    secrets = SecretResolver(os.environ, cloud.env_file)
    reading = _workspaces_alone(of, request.out)
    async with Clients(reading, cloud, secrets, resource_manager=bool(request.scopes)) as clients:
        drivers = kinds.drivers(clients).values()
        inventory = joined(await asyncio.gather(*(driver.inventory(request.scopes) for driver in drivers)))
    drafts = draft(inventory, known_of(of, ledger))
    written = _write(files_of(drafts), request, of)
    print(_summary(drafts))
    for problem in drafts.problems:
        print(f"not imported: {problem}", file=sys.stderr)
    if request.verify and written:
        fleet = _written_targets(request, of, written)
        async with Reconciliation(fleet, cloud, store, secrets, Options(partial=True, probes=request.probes)) as one:
            if not _empty(await one.plan()):
                return ExitCode.ERROR
    return ExitCode.ERROR if drafts.problems else ExitCode.OK


def _workspaces_alone(of: Meant, out: Path) -> Fleet:
    """Return a fleet of the workspaces alone. A new one has the position where its document will be written."""
    from reconciler.importing.files import WORKSPACES
    from reconciler.spec.diagnostics import Position
    from reconciler.spec.fleet import Fleet

    positions = {("Workspace", name): Position(out / WORKSPACES) for name in of.written}
    if of.fleet is not None:
        positions |= {("Workspace", name): of.fleet.position_of("Workspace", name) for name in of.fleet.workspaces}
    return Fleet(workspaces=of.workspaces, models={}, target_documents={}, revision="", positions=positions)


def _write(files: Mapping[str, str], request: ImportRequest, of: Meant) -> list[Path]:
    """Write the files. An existing file is an error unless ``request.force``.

    Raises:
        UserError: a file exists, cannot be written, or has other documents that would be lost.
    """
    paths = {request.out / name: text for name, text in files.items()}
    there = [str(path) for path in paths if path.exists()]
    needed = {} if of.fleet is None else {place.file.resolve(): place.file for place in of.fleet.positions.values()}
    lost = [str(path) for path in paths if path.resolve() in needed]
    if lost:
        raise UserError(f"{', '.join(lost)} would lose documents that --specs needs. Use another --out")
    if there and not request.force:
        raise UserError(f"existing files would be overwritten: {', '.join(there)}. Use --force, or another --out")
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            replace_file(path, text)
            print(path)
    except OSError as error:
        raise UserError(f"{error.filename or request.out} cannot be written: {error.strerror}") from error
    return list(paths)


def _summary(drafts: Drafts) -> str:
    from reconciler.plan.render.phrases import kind_in_words
    from reconciler.targets.kinds import KINDS

    names = [kind.document.kind_name() for kind in KINDS]
    found = [count(drafts.counts[name], kind_in_words(name)) for name in names]
    lines = [f"imported {', '.join(found)}, {count(len(drafts.models), 'model')}"]
    if drafts.managed:
        lines.append(f"skipped {count(drafts.managed, 'target')} that the specs have already")
    if drafts.unsaid:
        lines.append(f"skipped {count(drafts.unsaid, 'target')} that no document can describe; see the comments")
    return "\n".join(lines)


def _written_targets(request: ImportRequest, of: Meant, written: list[Path]) -> Fleet:
    """Return a fleet of the written targets, with the documents that they refer to."""
    from reconciler.spec.fleet import load_fleet
    from reconciler.targets import kinds

    known = kinds.documents()
    alone = load_fleet(written, known) if of.fleet is None else None
    whole = alone or load_fleet([*(request.specs or (DEFAULT_SPECS,)), *written], known)
    own = {path.resolve() for path in written}

    targets = {
        name: target
        for name, target in whole.target_documents.items()
        if whole.position_of(target.kind, name).file.resolve() in own
    }
    return replace(whole, target_documents=targets)


def _empty(plan: Plan) -> bool:
    """Print whether the plan over the written files is empty, and return it."""
    from reconciler.plan import render

    if len(plan.in_sync) == len(plan.targets):
        print(f"verified: the plan over the files is empty, {count(len(plan.targets), 'target')} in sync")
        if plan.adopted:
            print(
                f"The next run will adopt {count(len(plan.adopted), 'target')} by adding an ownership marker. "
                "Nothing else changes."
            )
        return True
    print(render.text(plan), file=sys.stderr)
    print("not verified: the plan over the files is not empty", file=sys.stderr)
    return False
