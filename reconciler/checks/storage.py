"""Asks whether storage accounts accept the keys that we have: a workspace's, and those that New services are given."""

from __future__ import annotations

from reconciler.azure.blobs import Blobs
from reconciler.azure.errors import CloudError, ConnectionStringError, ServiceError, SignInError
from reconciler.plan.preflight.facts import Storage
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.connections import Connections
from reconciler.targets.contract import AccountKey
from reconciler.targets.new_payloads import connection_string

_REFUSED = "AuthenticationFailed"
_ANY_CONTAINER = "reconciler"
"""Asked for to see whether the key is accepted: it need not be there."""


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


async def ask_account(connections: Connections, handed_over: AccountKey) -> Storage:
    """One call with a key that is to be given to a service: does its account accept it?

    Nothing but that is judged: the service reaches the account from elsewhere than we do.
    """
    subject = handed_over.subject
    try:
        base = await connections.account_url(handed_over.account)
        client = Blobs(connection_string(handed_over.account, handed_over.key, base))
    except (CloudError, ConnectionStringError) as error:
        return Storage(subject, problem=str(error), remedy=f"correct {handed_over.field}")
    async with client as blobs:
        try:
            await blobs.look(_ANY_CONTAINER)
        except ServiceError as error:
            if not error.has_code(_REFUSED):
                return Storage(subject, base, unreached=str(error), ahead=blobs.ahead)
            problem = f"{base} refuses the key that {handed_over.reference} holds ({error.status} {error.code})"
            remedy = f"put the account's key of today into {handed_over.reference}, to which {handed_over.field} refers"
            return Storage(subject, base, problem, remedy, ahead=blobs.ahead)
        return Storage(subject, base, ahead=blobs.ahead)
