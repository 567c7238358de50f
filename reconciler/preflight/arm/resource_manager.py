"""Looks at Azure Resource Manager: who is signed in, what is visible, what is allowed, what pays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime

from pydantic import SecretStr

from reconciler.azure.arm.access import PROVIDER, Caller, caller_of, provider_state, subscription
from reconciler.azure.errors import Retired, ServiceError, SignInError
from reconciler.plan.checks.commitment_plans import check_headroom
from reconciler.plan.checks.permissions import check_permissions
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.preflight.arm.commitment_plans import ask_payers
from reconciler.preflight.arm.permissions import ask_permissions, fleet_needs
from reconciler.preflight.arm.web_services import check_web_services
from reconciler.preflight.hosts import Host, Hosts
from reconciler.preflight.vaults import uses_vaults
from reconciler.spec.documents import NewWebService
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.clients import Clients
from reconciler.targets.new_service.driver import NewWebServices

_Found = tuple[list[Check], list[Host]]


async def check_resource_manager(
    clients: Clients, services: NewWebServices, hosts: Hosts, clock: Callable[[], datetime]
) -> _Found:
    """Return the checks of Resource Manager, and the hosts that execute New web services, which are prepared."""
    cloud = clients.cloud
    subject = f"cloud {cloud.name}"
    skipped = ""
    if not (clients.needs_resource_manager or uses_vaults(clients.fleet)):
        skipped = "no spec needs Azure Resource Manager or a Key Vault"
    elif clients.needs_resource_manager and hosts.is_silent(cloud.resource_manager_url):
        skipped = "Azure Resource Manager does not answer"
    if skipped:
        return [Check(name="sign-in", subject=subject, outcome=CheckOutcome.SKIPPED, text=skipped)], []
    try:
        token = await clients.sign_in.get_token(cloud.scope)
    except (ServiceError, MissingSecret) as error:
        return [_failed("sign-in", subject, str(error), _remedy(str(error)))], []
    checks = [_signed_in(clients, caller_of(SecretStr(token.token)))]
    if not clients.needs_resource_manager:
        return checks, []
    ids = _resource_ids(clients)
    subscriptions = sorted({resource_id.split("/")[2].lower() for resource_id in ids})
    seen = await asyncio.gather(*(_subscription(clients, each) for each in subscriptions))
    checks += [check for found in seen for check in found]
    visible = {
        each for each, found in zip(subscriptions, seen, strict=True) if found[0].outcome is not CheckOutcome.FAILED
    }
    ids = [resource_id for resource_id in ids if resource_id.split("/")[2].lower() in visible]
    payers, (listed, execution, missing) = await asyncio.gather(
        _payers(clients, ids, clock()), check_web_services(clients, ids)
    )
    permitted = await _permissions(clients, services, missing)
    return [*checks, *permitted, *payers, *listed], execution


_REMEDIES = {
    "AADSTS90002": "correct the tenant: signIn.tenantId of the cloud file, or AZURE_TENANT_ID",
    "AADSTS900023": "correct the tenant: signIn.tenantId of the cloud file, or AZURE_TENANT_ID",
    "AADSTS700016": "correct the client id, or the tenant: that tenant has no such application",
    "AADSTS7000215": "correct the client's secret: its value is wanted, not its id",
    "AADSTS7000222": "the client's secret has expired: make a new one",
    "AADSTS700027": "correct the client's certificate: the application does not know it",
    "AADSTS7000112": "have the application enabled again",
}
"""What to do about an answer of the identity platform (its documentation, "Error codes for debugging")."""


def _remedy(message: str) -> str:
    code = re.search(r"AADSTS\d+", message)
    return _REMEDIES.get(code.group(), "") if code else ""


def _resource_ids(clients: Clients) -> list[str]:
    """Those of the New web services that are targets, or that train a model which a target wants."""
    fleet = clients.fleet
    ids = {
        document.spec.resource_id.lower(): document.spec.resource_id for document in fleet.of(NewWebService).values()
    }
    for name, _ in fleet.wanted_versions():
        training = fleet.models[name].spec.training
        if training is not None and training.new is not None:
            ids.setdefault(training.new.resource_id.lower(), training.new.resource_id)
    return list(ids.values())


def _signed_in(clients: Clients, caller: Caller) -> Check:
    cloud = clients.cloud
    subject = f"cloud {cloud.name}"
    if not caller.tenant:
        return Check(
            name="sign-in", subject=subject, outcome=CheckOutcome.OK, text="signed in; the token does not say who as"
        )
    if cloud.tenant_id is not None and cloud.tenant_id.lower() != caller.tenant.lower():
        text = f"signed in to tenant {caller.tenant}, and the cloud file names {cloud.tenant_id}"
        return _failed("sign-in", subject, text, "correct signIn.tenantId, or the credentials")
    text = f"signed in as {caller.name} of tenant {caller.tenant}"
    return Check(name="sign-in", subject=subject, outcome=CheckOutcome.OK, text=text)


async def _subscription(clients: Clients, subscription_id: str) -> list[Check]:
    subject = f"subscription {subscription_id}"
    try:
        name, state = await subscription(clients.definitions, subscription_id)
    except ServiceError as error:
        if not isinstance(error, SignInError):
            return [_failed("subscription", subject, str(error), "correct the subscription in resourceId")]
        # To read the subscription itself is a role of its own; one on a group or a service does for the work.
        text = f"not readable for the signed-in identity ({error.status} {error.code}); its work does not need that"
        return [Check(name="subscription", subject=subject, outcome=CheckOutcome.UNKNOWN, text=text)]
    if state.lower() not in {"enabled", ""}:
        text = f"{name or 'it'} is {state}"
        return [_failed("subscription", subject, text, "have it enabled again: nothing in it can be changed")]
    found = [
        Check(
            name="subscription", subject=subject, outcome=CheckOutcome.OK, text=f"{name or 'it'} is {state or 'seen'}"
        )
    ]
    return [*found, await _provider(clients, subscription_id)]


async def _provider(clients: Clients, subscription_id: str) -> Check:
    subject = f"{PROVIDER} in subscription {subscription_id}"
    try:
        state = await provider_state(clients.definitions, subscription_id)
    except Retired as error:
        return _failed("retired", subject, error.message)
    except ServiceError as error:
        text = f"unknown whether it is registered: {error}"
        return Check(name="provider", subject=subject, outcome=CheckOutcome.UNKNOWN, text=text)
    if state.lower() != "registered":
        remedy = f"register it: az provider register --namespace {PROVIDER}"
        return _failed("provider", subject, f"it is {state or 'not registered'}", remedy)
    return Check(name="provider", subject=subject, outcome=CheckOutcome.OK, text="it is registered")


async def _permissions(clients: Clients, services: NewWebServices, missing: AbstractSet[str]) -> list[Check]:
    needs = await fleet_needs(clients.fleet, services, missing)
    settled, access = await ask_permissions(clients.definitions, needs)
    scopes = sorted({need.scope for needed in settled.values() for need in needed})
    return [
        check_permissions(
            scope, {need for needed in settled.values() for need in needed if need.scope == scope}, access[scope]
        )
        for scope in scopes
    ]


async def _payers(clients: Clients, ids: list[str], now: datetime) -> list[Check]:
    if not ids:
        return []
    payers = await ask_payers(clients.definitions, frozenset(ids))
    found = [check_headroom(payer, [], now) for payer in dict.fromkeys(payers.of.values())]
    if not found and not payers.checks:
        text = "none that stops its web services when it is used up pays for one of these"
        subject = "commitment plans"
        found = [Check(name="commitment-plan", subject=subject, outcome=CheckOutcome.OK, text=text)]
    return [*payers.checks, *found]


def _failed(name: str, subject: str, text: str, remedy: str = "") -> Check:
    return Check(name=name, subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)
