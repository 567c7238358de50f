"""What works and what does not: every check that needs no plan, side by side, each thing asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

from reconciler.azure.clouds import Cloud
from reconciler.azure.errors import CloudError
from reconciler.azure.http import Http
from reconciler.azure.key_vault import LoopbackNames
from reconciler.azure.retries import Retries
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.checks.signatures import check_signature
from reconciler.plan.checks.storage import judge_storage
from reconciler.preflight.hosts import Hosts
from reconciler.preflight.sign_in import check_sign_in
from reconciler.preflight.storage import ask_account, ask_storage, read_signature_validity
from reconciler.preflight.vaults import uses_vaults, vault_hosts
from reconciler.preflight.workspaces import check_workspace
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import MissingSecret, SecretResolver
from reconciler.targets import kinds
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import AccountKey, Host, Reach

_ONE_TRY = 1


async def examine(
    fleet: Fleet, cloud: Cloud, secrets: SecretResolver, clock: Callable[[], datetime]
) -> tuple[Check, ...]:
    """Ask everything that the documents of a fleet need. Sends only reads, and raises for nothing that is answered.

    Hosts first: what rests on one that does not answer is skipped, so that its silence is told once.
    """
    trusting = Http(
        retries=Retries(tries=_ONE_TRY),
        proxies=not cloud.allow_http,
        ca_file=cloud.ca_file,
        connections=8,
        resolver=LoopbackNames(),
    )
    async with Clients(fleet, cloud, secrets) as clients, trusting:
        hosts = Hosts(cloud, clients.http, trusting)
        workspaces = sorted(fleet.workspaces)
        checks = await hosts.ask([*_hosts(clients), *await _accounts(clients)])
        signed_in = await check_sign_in(clients, hosts.is_silent)
        reach = Reach(clock(), hosts.is_silent, signed_in=signed_in.outcome is CheckOutcome.OK)
        looks, diagnoses = await asyncio.gather(
            asyncio.gather(*(check_workspace(clients, workspace, reach) for workspace in workspaces)),
            asyncio.gather(*(driver.diagnose(reach) for driver in kinds.drivers(clients).values())),
        )
        keys = [key for diagnosis in diagnoses for key in diagnosis.keys]
        checks += await hosts.ask(
            [
                *(host for _, found in looks for host in found),
                *(host for diagnosis in diagnoses for host in diagnosis.hosts),
                *await _hosts_of(clients, keys),
            ]
        )
        storage = await asyncio.gather(
            *(_storage(clients, workspace, hosts) for workspace in workspaces),
            *(_handed_over(clients, key, hosts) for key in keys),
        )
        return (
            *checks,
            *(check for found, _ in looks for check in found),
            signed_in,
            *(check for diagnosis in diagnoses for check in diagnosis.checks),
            *(check for found in storage for check in found),
            *hosts.clocks(),
            *await _signatures(clients, clock()),
        )


def _hosts(clients: Clients) -> Iterator[Host]:
    """Return the hosts that are known without asking anybody."""
    cloud, fleet = clients.cloud, clients.fleet
    for workspace in fleet.workspaces.values():
        region = workspace.spec.region
        try:
            yield Host(cloud.management_url(region), f"management of {region}", studio=True)
        except CloudError:
            continue  # Told with the workspace.
    if not fleet.workspaces:
        for region, url in (cloud.regions or {"every region": cloud.management_base or ""}).items():
            if url:
                yield Host(url, f"management of {region}", studio=True)
    if clients.needs_resource_manager:
        yield Host(cloud.resource_manager_url, "Azure Resource Manager", own_authority=True)
    if cloud.authority is not None and (clients.needs_resource_manager or uses_vaults(fleet)):
        url = cloud.authority if "://" in cloud.authority else f"https://{cloud.authority}"
        yield Host(url, "sign-in", own_authority=True)
    yield from vault_hosts(clients)


async def _hosts_of(clients: Clients, keys: list[AccountKey]) -> list[Host]:
    found = []
    for key in keys:
        with suppress(CloudError):  # It is reported with the storage.
            found.append(Host(await clients.account_url(key.account), f"storage account {key.account}"))
    return found


async def _accounts(clients: Clients) -> list[Host]:
    found = []
    for name in clients.fleet.workspaces:
        try:
            found.append(Host((await clients.blobs(name)).base, f"storage of workspace {name}"))
        except MissingSecret:
            continue  # Told with the storage.
    return found


async def _storage(clients: Clients, workspace: str, hosts: Hosts) -> list[Check]:
    try:
        base = (await clients.blobs(workspace)).base
    except MissingSecret:
        base = ""
    if base and hosts.is_silent(base):
        text = "the host does not answer"
        return [Check(name="storage", subject=f"workspace {workspace}", outcome=CheckOutcome.SKIPPED, text=text)]
    account = await ask_storage(clients, workspace)
    return [finding.check for finding in judge_storage({account: frozenset()})]


async def _handed_over(clients: Clients, key: AccountKey, hosts: Hosts) -> list[Check]:
    with suppress(CloudError):
        if hosts.is_silent(await clients.account_url(key.account)):
            text = "the host does not answer"
            return [Check(name="storage", subject=key.subject, outcome=CheckOutcome.SKIPPED, text=text)]
    account = await ask_account(clients, key)
    return [finding.check for finding in judge_storage({account: frozenset()})]


async def _signatures(clients: Clients, now: datetime) -> list[Check]:
    """Those of the ready-made versions that a target wants."""
    found = []
    for model, label in clients.fleet.wanted_versions():
        if model in clients.fleet.models:
            signature = await read_signature_validity(clients, model, label)
            if signature is not None:
                found.append(check_signature(signature, now))
    return found
