"""Looks at workspaces: does the token list their web services, and are those there that train models."""

from __future__ import annotations

from reconciler.azure.classic import WebService
from reconciler.azure.errors import CloudError, ServiceError
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.states import Problem
from reconciler.plan.text import count
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import Host, Reach
from reconciler.targets.workspaces import execution_host, failed, find_web_service, workspace_problem


async def check_workspace(clients: Clients, workspace: str, reach: Reach) -> tuple[list[Check], list[Host]]:
    """Return what there is to say of a workspace document, and the host that runs its training.

    Two calls: the list of its web services, and one endpoint, which tells where it is called. What targets need of the
    workspace their drivers look at.
    """
    subject = f"workspace {workspace}"
    spec = clients.fleet.workspaces[workspace].spec
    try:
        url = clients.cloud.management_url(spec.region)
        if reach.is_silent(url):
            text = f"the host of {spec.region} does not answer"
            return [Check(name="token", subject=subject, outcome=CheckOutcome.SKIPPED, text=text)], []
        listed = await clients.web_services(workspace)
    except (ServiceError, MissingSecret, CloudError) as error:
        return [failed(subject, await workspace_problem(clients, workspace, error))], []
    text = f"the token lists {count(len(listed), 'web service')} in {spec.region}"
    checks = [Check(name="token", subject=subject, outcome=CheckOutcome.OK, text=text)]
    found: list[WebService] = []
    for name in _training_services(clients.fleet, workspace):
        service = find_web_service(workspace, name, listed)
        if isinstance(service, Problem):
            checks.append(failed(subject, service))
        else:
            found.append(service)
    if not found and workspace not in clients.fleet.workspaces_of_targets:
        found = listed[:1]
    return checks, await execution_host(clients, workspace, found[:1])


def _training_services(fleet: Fleet, workspace: str) -> list[str]:
    """Return the Classic training services that specs name in a workspace, for the versions that targets want."""
    models = [fleet.models[name].spec for name in {name for name, _ in fleet.wanted_versions()} & fleet.models.keys()]
    return sorted(
        {
            model.training.classic.web_service
            for model in models
            if model.workspace == workspace and model.training is not None and model.training.classic is not None
        }
    )
