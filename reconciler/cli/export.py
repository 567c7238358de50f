"""``reconcile export``: a live New web service as a definition file that a spec can name."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from reconciler.azure.clouds import Cloud
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.failures import UserError
from reconciler.cli.local_studio import the_cloud
from reconciler.cli.options import DEFAULT_SPECS
from reconciler.spec.diagnostics import did_you_mean
from reconciler.spec.fleet import Fleet, load_fleet
from reconciler.spec.secrets import SecretResolver
from reconciler.targets.connections import Connections
from reconciler.targets.definition_file import Exported, export_definition
from reconciler.targets.new_payloads import with_payload


def export(service: str, specs: Sequence[Path], cloud: str | None, out: Path | None) -> ExitCode:
    """Write a service's definition without secrets, and say what has to be given beside it."""
    by_id = service.startswith("/")
    fleet = Fleet.empty() if by_id else load_fleet(tuple(specs) or (DEFAULT_SPECS,))
    resource_id = service if by_id else _named(fleet, service)
    with the_cloud(cloud) as found:
        exported = asyncio.run(_read(fleet, found, resource_id))
    text = json.dumps(exported.content, indent=2, ensure_ascii=False)
    if out is None:
        print(text)
    else:
        try:
            out.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"--out {out} can't be written: {error.strerror}") from error
        print(f"wrote {out}", file=sys.stderr)
    for note in exported.notes:
        print(f"note: {note}", file=sys.stderr)
    return ExitCode.OK


def _named(fleet: Fleet, name: str) -> str:
    document = fleet.new_web_services.get(name)
    if document is None:
        guess = did_you_mean(name, fleet.new_web_services)
        raise UserError(f"the specs have no NewWebService {name}; {guess or 'give its name, or a resource id'}")
    return document.spec.resource_id


async def _read(fleet: Fleet, cloud: Cloud, resource_id: str) -> Exported:
    secrets = SecretResolver(os.environ, cloud.env_file)
    async with Connections(fleet, cloud, secrets, resource_manager=True) as connections:
        definition = await connections.definitions.get(resource_id)
        return export_definition(await with_payload(connections.http, definition))
