"""Looks at the web services of Classic endpoints, for ``reconcile doctor``: are they there, and how full are they."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from reconciler.azure.classic import WebService
from reconciler.azure.errors import CloudError, ServiceError
from reconciler.plan.checks.quotas import check_quota, endpoint_quota
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.states import Problem
from reconciler.spec.documents import ClassicEndpoint
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import Diagnosis, Host, Reach
from reconciler.targets.workspaces import execution_host, failed, find_web_service, is_reachable


async def check_services(clients: Clients, reach: Reach) -> Diagnosis:
    """Return the checks of the web services that specs name endpoints of, and where they are executed.

    What cannot be listed is left to the check of the workspace.
    """
    used: dict[str, Counter[str]] = {}
    for endpoint in clients.fleet.of(ClassicEndpoint).values():
        used.setdefault(endpoint.spec.workspace, Counter())[endpoint.spec.web_service] += 1
    looks = await asyncio.gather(
        *(
            _look(clients, workspace, used[workspace])
            for workspace in sorted(used)
            if is_reachable(clients, workspace, reach)
        )
    )
    return Diagnosis(
        tuple(check for checks, _ in looks for check in checks), tuple(host for _, hosts in looks for host in hosts)
    )


async def _look(clients: Clients, workspace: str, used: Counter[str]) -> tuple[list[Check], list[Host]]:
    try:
        listed = await clients.web_services(workspace)
    except (ServiceError, MissingSecret, CloudError):
        return [], []
    checks: list[Check] = []
    found: list[WebService] = []
    for name, endpoints in sorted(used.items()):
        service = find_web_service(workspace, name, listed)
        if isinstance(service, Problem):
            checks.append(failed(f"workspace {workspace}", service))
        else:
            found.append(service)
            checks += _room(clients, workspace, service, endpoints)
    return checks, await execution_host(clients, workspace, found[:1])


def _room(clients: Clients, workspace: str, service: WebService, endpoints: int) -> Iterator[Check]:
    """Yield how many endpoints a service has and may have."""
    tier = clients.fleet.workspaces[workspace].spec.tier
    subject = f"web service {service.name} of workspace {workspace}"
    quota = endpoint_quota(subject, workspace, tier, service.endpoint_count or 0)
    if endpoints + 1 > quota.limit:
        text = f"the specs name {endpoints:,} endpoints besides default, and the limit is {quota.limit:,} in all"
        yield Check(name="quota", subject=quota.subject, outcome=CheckOutcome.FAILED, text=text)
    elif service.endpoint_count is None:
        text = f"the service does not report how many of at most {quota.limit:,} endpoints exist"
        yield Check(name="quota", subject=quota.subject, outcome=CheckOutcome.UNKNOWN, text=text)
    else:
        yield check_quota(quota)
