"""``reconcile export``: the definition of a live New web service as a file for a spec."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options
from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.local_studio import the_cloud
from reconciler.cli.options import DEFAULT_SPECS
from reconciler.spec.diagnostics import did_you_mean, join_names
from reconciler.spec.loading.files import replace_file

if TYPE_CHECKING:
    from reconciler.azure.clouds import Cloud
    from reconciler.spec.fleet import Fleet
    from reconciler.targets.driver import Exported
    from reconciler.targets.kinds import Kind


def export(
    service: Annotated[
        str,
        typer.Argument(
            metavar="NAME|RESOURCE_ID", help="The New web service: its name in the specs, or its resource id."
        ),
    ],
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the definition to FILE. Default: standard output."),
    ] = None,
) -> ExitCode:
    """Write the definition of a live New web service.

    The file has no secrets. A spec refers to it with `definition: {file: …}`.
    """
    import asyncio

    from reconciler.spec.fleet import Fleet, load_fleet
    from reconciler.targets import kinds

    by_id = service.startswith("/")
    fleet = Fleet.empty() if by_id else load_fleet(specs or (DEFAULT_SPECS,), kinds.documents())
    kind, resource_id = (_only_kind(), _checked(service)) if by_id else _named(fleet, service)
    with the_cloud(cloud) as found:
        exported = asyncio.run(_read(fleet, found, kind, resource_id))
    text = json.dumps(exported.content, indent=2, ensure_ascii=False)
    if out is None:
        print(text)
    else:
        try:
            _write(out, f"{text}\n")
        except OSError as error:
            raise UserError(f"--out {out} cannot be written: {error.strerror}") from error
        print(f"wrote {out}", file=sys.stderr)
    for note in exported.notes:
        print(f"note: {note}", file=sys.stderr)
    return ExitCode.OK


def _write(out: Path, text: str) -> None:
    if out.is_file():
        replace_file(out, text)  # Keeps the old file if the disk is full: it may be the only copy.
    else:
        out.write_text(text, encoding="utf-8")


def _checked(given: str) -> str:
    from pydantic_core import PydanticCustomError

    from reconciler.spec.documents.rules import RESOURCE_ID_SHAPE, resource_id

    try:
        return resource_id(given)
    except PydanticCustomError as error:
        raise UserError(f"{given} {error}; allowed: {RESOURCE_ID_SHAPE}") from None


def _only_kind() -> Kind:
    """Return the kind whose targets have definitions."""
    from reconciler.targets.kinds import KINDS

    return next(kind for kind in KINDS if kind.export is not None)


def _named(fleet: Fleet, name: str) -> tuple[Kind, str]:
    """Return the kind and the resource id of a target of the specs that has a definition."""
    from reconciler.plan.render.phrases import kind_in_words
    from reconciler.targets.kinds import KINDS

    exporting = {kind.document.kind_name(): kind for kind in KINDS if kind.export is not None}
    document = fleet.target_documents.get(name)
    if document is None or document.kind not in exporting:
        others = [target.name for target in fleet.targets if target.kind in exporting]
        other = "" if document is None else f" (it is a {kind_in_words(document.kind)}, which has no definition)"
        known = f"the specs have {join_names(others)}" if others else "use a resource id"
        remedy = did_you_mean(name, others) or known
        raise UserError(f"the specs have no {kind_in_words(next(iter(exporting)))} {name!r}{other}; {remedy}")
    return exporting[document.kind], str(document.at(document.IDENTITY[0]))


async def _read(fleet: Fleet, cloud: Cloud, kind: Kind, resource_id: str) -> Exported:
    from reconciler.spec.secrets import SecretResolver
    from reconciler.targets.clients import Clients
    from reconciler.targets.driver import TargetError

    if kind.export is None:
        raise AssertionError("only kinds with definitions are asked for them")
    secrets = SecretResolver(os.environ, cloud.env_file)
    async with Clients(fleet, cloud, secrets, resource_manager=True) as clients:
        try:
            return await kind.export(clients, resource_id)
        except TargetError as error:
            raise UserError(str(error)) from None
