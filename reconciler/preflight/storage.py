"""Asks whether storage accounts accept their keys: a workspace's, and those that are given to New services."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from reconciler.azure.credentials import RefreshableSecret
from reconciler.azure.errors import CloudError, ConnectionStringError, ServiceError, SignInError
from reconciler.azure.storage.account import REFUSED, connection_string_of
from reconciler.azure.storage.blobs import ANY_CONTAINER, Blobs
from reconciler.plan.checks.facts import Signature, Storage
from reconciler.plan.checks.signatures import read_signature
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import AccountKey

"""Asked for to see whether the key is accepted: it need not be there."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """What an account said to one key.

    Attributes:
        field: The field that refers to it.
        refusal: Status and code of its refusal; empty if it was not refused.
        unreached: Why nothing was said to it; empty if something was.
        ahead: By how much the account's clock is ahead of this machine's, if known.
    """

    field: str
    refusal: str = ""
    unreached: str = ""
    ahead: timedelta | None = None


async def ask_storage(clients: Clients, workspace: str) -> Storage:
    """One call with each key of a workspace document's account: does it accept it, and what time is it there?"""
    subject = f"workspace {workspace}"
    try:
        base = (await clients.blobs(workspace)).base  # That both are of one account is seen by it.
    except MissingSecret as error:
        return Storage(subject, problem=f"the connection string cannot be used: {error}")
    keys = clients.storage_keys(workspace)
    tried = await asyncio.gather(*(_try(clients, workspace, field, source) for field, source in keys.items()))
    ahead = next((each.ahead for each in tried if each.ahead is not None), None)
    refused = [each for each in tried if each.refusal]
    unreached = next((each.unreached for each in tried if each.unreached), "")
    # Without the requests' ids, so that two plans of one world are the same.
    told = " and ".join(f"{each.field} ({each.refusal})" for each in refused)
    if len(refused) == len(tried):
        problem = f"{base} refuses the key ({refused[0].refusal})"
        if len(refused) > 1:
            problem = f"{base} refuses both keys: {told}"
        return Storage(subject, base, problem, _remedy(workspace, refused), ahead=ahead)
    if unreached:
        return Storage(subject, base, unreached=unreached, ahead=ahead)
    warning = f"{base} refuses one of the two keys: {told}. The other key is accepted and used" if told else ""
    remedy = _remedy(workspace, refused) if refused else ""
    return Storage(subject, base, remedy=remedy, warning=warning, keys=len(tried), ahead=ahead)


async def _try(clients: Clients, workspace: str, field: str, source: RefreshableSecret) -> _Tried:
    container = clients.fleet.workspaces[workspace].spec.storage.container
    async with Blobs(await source.current(), source=source) as blobs:
        try:
            await blobs.look(container)
        except SignInError as error:
            return _Tried(field, refusal=f"{error.status} {error.code}", ahead=blobs.ahead)
        except ServiceError as error:
            return _Tried(field, unreached=str(error), ahead=blobs.ahead)
        return _Tried(field, ahead=blobs.ahead)


def _remedy(workspace: str, refused: Sequence[_Tried]) -> str:
    fields = " and ".join(f"{each.field} of Workspace {workspace}" for each in refused)
    return (
        f"If the account key was rotated, put the new key into {fields}. Services that have the old key need "
        "the new one too: resync the workspace's storage keys, and update the New web services"
    )


async def ask_account(clients: Clients, handed_over: AccountKey) -> Storage:
    """One call with a key that is to be given to a service: does its account accept it?

    Nothing but that is judged: the service reaches the account from another network.
    """
    subject = handed_over.subject
    try:
        base = await clients.account_url(handed_over.account)
        client = Blobs(connection_string_of(handed_over.account, handed_over.key, base))
    except (CloudError, ConnectionStringError) as error:
        return Storage(subject, problem=str(error), remedy=f"Correct {handed_over.field}")
    async with client as blobs:
        try:
            await blobs.look(ANY_CONTAINER)
        except ServiceError as error:
            if not error.has_code(REFUSED):
                return Storage(subject, base, unreached=str(error), ahead=blobs.ahead)
            problem = f"{base} refuses the key in {handed_over.reference} ({error.status} {error.code})"
            remedy = f"Put the current account key into {handed_over.reference} (used by {handed_over.field})"
            return Storage(subject, base, problem, remedy, ahead=blobs.ahead)
        return Storage(subject, base, ahead=blobs.ahead)


async def read_signature_validity(clients: Clients, model: str, label: str) -> Signature | None:
    """Return the SAS of a ready-made version; None if it has none."""
    ready = clients.fleet.models[model].spec.versions.get(label)
    if ready is None or ready.location.sas_token is None:
        return None
    subject = f"version {label} of model {model}"
    try:
        base = clients.fleet.base_dir_of("Model", model)
        token = await clients.secret(
            ready.location.sas_token, base, wanted_for=f"Model {model}, spec.versions.{label}.location.sasToken"
        )
    except MissingSecret as error:
        return Signature(subject, problem=f"the SAS cannot be read: {error}")
    return read_signature(subject, token.get_secret_value())
