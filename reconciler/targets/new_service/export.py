"""Reads a live New web service as a definition file that a spec can name."""

from __future__ import annotations

from reconciler.azure.arm.definition import member
from reconciler.targets.clients import Clients
from reconciler.targets.driver import Exported, TargetError
from reconciler.targets.new_service.definition.file import export_definition
from reconciler.targets.new_service.payloads import with_payload
from reconciler.targets.new_service.state import is_never_provisioned


async def exported(clients: Clients, resource_id: str) -> Exported:
    """Return the definition of a web service, without secrets and what the service sets itself.

    Raises:
        TargetError: it has none yet.
        ServiceError: it cannot be read.
    """
    definition = await clients.definitions.get(resource_id)
    if is_never_provisioned(definition):
        state = str(member(definition, "properties", "provisioningState") or "Unknown")
        raise TargetError(f"{resource_id} has no definition to export: its creation is {state}")
    return export_definition(await with_payload(clients.http, definition))
