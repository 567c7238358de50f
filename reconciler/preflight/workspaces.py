"""Looks at Classic workspaces: does the token list, are the services there, how many endpoints more do they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.azure.classic import WebService
from reconciler.azure.errors import CloudError, ServiceError
from reconciler.plan.checks.quotas import check_quota, endpoint_quota
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.states import Problem
from reconciler.plan.text import count
from reconciler.preflight.hosts import Host, Hosts
from reconciler.spec.documents import ClassicEndpoint
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.classic.lookup import find_web_service, workspace_problem
from reconciler.targets.clients import Clients


async def check_workspace(clients: Clients, workspace: str, hosts: Hosts) -> tuple[list[Check], list[Host]]:
    """Return what there is to say of a workspace document, and the host that executes its services.

    Two calls: the list of its web services, and one endpoint, which tells where it is called.
    """
    subject = f"workspace {workspace}"
    spec = clients.fleet.workspaces[workspace].spec
    try:
        url = clients.cloud.management_url(spec.region)
        if hosts.is_silent(url):
            text = f"the host of {spec.region} does not answer"
            return [Check(name="token", subject=subject, outcome=CheckOutcome.SKIPPED, text=text)], []
        listed = await clients.web_services(workspace)
    except (ServiceError, MissingSecret, CloudError) as error:
        return [_failed(subject, await workspace_problem(clients, workspace, error))], []
    text = f"its token lists {count(len(listed), 'web service')} in {spec.region}"
    checks = [Check(name="token", subject=subject, outcome=CheckOutcome.OK, text=text)]
    found: list[WebService] = []
    for name, endpoints in sorted(_used(clients, workspace).items()):
        service = find_web_service(workspace, name, listed)
        if isinstance(service, Problem):
            checks.append(_failed(subject, service))
        else:
            found.append(service)
            checks += _room(clients, workspace, service, endpoints)
    return checks, await _execution(clients, workspace, (found or listed)[:1])


def _used(clients: Clients, workspace: str) -> Counter[str]:
    """Return the web services that specs name in a workspace, each with how many endpoints of it they name."""
    fleet = clients.fleet
    used: Counter[str] = Counter()
    models = {name for name, _ in fleet.wanted_versions()}
    for name in models & fleet.models.keys():
        model = fleet.models[name].spec
        if model.training is not None and model.training.classic is not None and model.workspace == workspace:
            used[model.training.classic.web_service] += 0
    for endpoint in fleet.of(ClassicEndpoint).values():
        if endpoint.spec.workspace == workspace:
            used[endpoint.spec.web_service] += 1
    return used


def _room(clients: Clients, workspace: str, service: WebService, endpoints: int) -> Iterator[Check]:
    """How many endpoints a service has and may have; only of services that specs name endpoints of."""
    if not endpoints:
        return
    tier = clients.fleet.workspaces[workspace].spec.tier
    subject = f"web service {service.name} of workspace {workspace}"
    quota = endpoint_quota(subject, workspace, tier, service.endpoint_count or 0)
    if endpoints + 1 > quota.limit:
        text = f"the specs name {endpoints:,} endpoints of it beside default, and it may have {quota.limit:,} in all"
        yield Check(name="quota", subject=quota.subject, outcome=CheckOutcome.FAILED, text=text)
    elif service.endpoint_count is None:
        text = f"it does not tell how many of at most {quota.limit:,} endpoints it has"
        yield Check(name="quota", subject=quota.subject, outcome=CheckOutcome.UNKNOWN, text=text)
    else:
        yield check_quota(quota)


async def _execution(clients: Clients, workspace: str, services: list[WebService]) -> list[Host]:
    management = clients.management(workspace)
    hosts = []
    for service in services:
        try:
            endpoint = await management.get_endpoint(service.id, service.default_endpoint or "default")
        except ServiceError:
            continue  # The list was answered; that a single read is not, is for the run itself to meet.
        if endpoint is not None and endpoint.api_location is not None:
            hosts.append(Host(endpoint.api_location, f"execution in workspace {workspace}", studio=True))
    return hosts


def _failed(subject: str, problem: Problem) -> Check:
    text = problem.message.removeprefix(f"{subject}: ")
    return Check(name=problem.code, subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=problem.remedy)
