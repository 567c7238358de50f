"""``reconcile export``: a live New web service as a definition file that a spec can name."""

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
from reconciler.spec.diagnostics import did_you_mean
from reconciler.spec.loading.files import replace_file

if TYPE_CHECKING:
    from reconciler.azure.clouds import Cloud
    from reconciler.spec.fleet import Fleet
    from reconciler.targets.new_service.definition.file import Exported


def export(
    service: Annotated[
        str, typer.Argument(metavar="NAME|RESOURCE_ID", help="A NewWebService of the specs, or a resource id.")
    ],
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it here. Default: standard output.")
    ] = None,
) -> ExitCode:
    """Write a New web service's definition, without secrets, as `definition: {file: …}` of a spec takes it."""
    import asyncio

    from reconciler.spec.fleet import Fleet, load_fleet

    by_id = service.startswith("/")
    fleet = Fleet.empty() if by_id else load_fleet(specs or (DEFAULT_SPECS,))
    identity = _checked(service) if by_id else _named(fleet, service)
    with the_cloud(cloud) as found:
        exported = asyncio.run(_read(fleet, found, identity))
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
        replace_file(out, text)  # It may be the only copy: it is not lost when the disk is full.
    else:
        out.write_text(text, encoding="utf-8")


def _checked(given: str) -> str:
    from pydantic_core import PydanticCustomError

    from reconciler.spec.documents.rules import RESOURCE_ID_SHAPE, resource_id

    try:
        return resource_id(given)
    except PydanticCustomError as error:
        raise UserError(f"{given} {error}; allowed: {RESOURCE_ID_SHAPE}") from None


def _named(fleet: Fleet, name: str) -> str:
    document = fleet.new_web_services.get(name)
    if document is None:
        guess = did_you_mean(name, fleet.new_web_services)
        other = " (it is a Classic endpoint, which has no definition)" if name in fleet.classic_endpoints else ""
        remedy = guess or "give its name, or a resource id"
        raise UserError(f"the specs have no NewWebService {name!r}{other}; {remedy}")
    return document.spec.resource_id


async def _read(fleet: Fleet, cloud: Cloud, identity: str) -> Exported:
    from reconciler.azure.arm.definition import member
    from reconciler.spec.secrets import SecretResolver
    from reconciler.targets.clients import Clients
    from reconciler.targets.new_service.definition.file import export_definition
    from reconciler.targets.new_service.payloads import with_payload
    from reconciler.targets.new_service.state import is_never_provisioned

    secrets = SecretResolver(os.environ, cloud.env_file)
    async with Clients(fleet, cloud, secrets, resource_manager=True) as clients:
        definition = await clients.definitions.get(identity)
        if is_never_provisioned(definition):
            state = str(member(definition, "properties", "provisioningState") or "Unknown")
            raise UserError(f"{identity} has no definition to be exported: its creation is {state}")
        return export_definition(await with_payload(clients.http, definition))
