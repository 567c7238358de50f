"""Asks whether a workspace's storage account accepts the key that we have."""

from __future__ import annotations

from reconciler.azure.errors import ServiceError, SignInError
from reconciler.plan.preflight.facts import Storage
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.connections import Connections


async def ask_storage(connections: Connections, workspace: str) -> Storage:
    """One call with the key of a workspace document's account: does it accept it, and what time is it there?"""
    subject = f"workspace {workspace}"
    reference = f"spec.storage.connectionString of Workspace {workspace}"
    try:
        blobs = await connections.blobs(workspace)
    except MissingSecret as error:
        return Storage(subject, problem=f"its connection string can't be used: {error}")
    base = blobs.base
    container = connections.fleet.workspaces[workspace].spec.storage.container
    try:
        await blobs.look(container)
    except SignInError as error:
        remedy = (
            f"if the account's key was rotated, put the new one into {reference}; the services that hold the old one "
            "need it too (resync the workspace's storage keys, update the New web services')"
        )
        # Without the request's id, so that two plans of one world are the same.
        problem = f"{base} refuses the key that we have ({error.status} {error.code})"
        return Storage(subject, base, problem, remedy, ahead=blobs.ahead)
    except ServiceError as error:
        return Storage(subject, base, unreached=str(error), ahead=blobs.ahead)
    return Storage(subject, base, ahead=blobs.ahead)
