"""The web services of a workspace: found by name or id, and why a workspace cannot be listed, and what to do."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence

from reconciler.azure.classic import WebService
from reconciler.azure.errors import RETIREMENT, CloudError, Retired, ServiceError, SignInError
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.states import Problem
from reconciler.plan.text import count
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import Host, Reach

Unlisted = ServiceError | MissingSecret | CloudError
"""What listing the web services of a workspace raises."""

_UNKNOWN_HERE = ("WorkspaceNotFound", "GetWorkspaceFailed")
"""What a workspace of another region is answered with (classic-protocol 4.2)."""


async def workspace_problem(clients: Clients, workspace: str, error: Unlisted) -> Problem:
    """Return what stands in the way of listing a workspace document's web services.

    A host that does not know the workspace may be that of another region: then the other regions' hosts are asked, as
    Microsoft's own client does (classic-protocol 1.1).
    """
    field = f"Workspace {workspace}"
    if isinstance(error, ServiceError) and error.has_code(*_UNKNOWN_HERE):
        return await _unknown_here(clients, workspace, error)
    if isinstance(error, Retired) or (isinstance(error, ServiceError) and _is_nobodys(error)):
        gone = isinstance(error, Retired)
        told = error.message if gone else f"the host returned {error.status}: {RETIREMENT}"
        return Problem("retired", f"Workspace {workspace}: {told}")
    if isinstance(error, SignInError):
        remedy = (
            f"Copy the token from Studio > Settings > Authorization tokens into the secret of spec.token of {field}"
        )
        return Problem("token-refused", f"Workspace {workspace}: {error}", remedy)
    if isinstance(error, ServiceError) and error.has_code("InvalidWorkspaceId"):
        return Problem("workspace-unreadable", f"Workspace {workspace}: {error}", f"Correct spec.id of {field}")
    if isinstance(error, CloudError):
        return Problem("region-unknown", f"Workspace {workspace}: {error}", f"Correct spec.region of {field}")
    return Problem("workspace-unreadable", f"Workspace {workspace}: {error}")


def _is_nobodys(error: ServiceError) -> bool:
    """Whether an answer comes of no management API, though something of its host answers (as Storage, beside it)."""
    return not error.code and (error.status == 410 or (error.status == 404 and error.message.startswith("a web page")))


async def _unknown_here(clients: Clients, workspace: str, error: ServiceError) -> Problem:
    spec = clients.fleet.workspaces[workspace].spec
    said = f"{error.status} {error.code}"
    regions = await _regions_that_know(clients, workspace)
    if regions:
        return Problem(
            "wrong-region",
            f"Workspace {workspace} ({spec.id}) is not in {spec.region}, whose host returned {said}. "
            f"The workspace is in {' and in '.join(regions)}",
            f"Write region: {regions[0]} in Workspace {workspace}",
        )
    others = len(clients.cloud.other_regions(spec.region))
    elsewhere = f", nor do those of {count(others, 'other region')}" if others else ""
    return Problem(
        "workspace-unknown",
        f"The host of {spec.region} does not know workspace {workspace} ({spec.id}): {said}{elsewhere}",
        f"Correct spec.id or spec.region of Workspace {workspace}, if the workspace was not deleted",
    )


async def _regions_that_know(clients: Clients, workspace: str) -> list[str]:
    """Return the other regions of the cloud whose host lists the workspace."""
    elsewhere = clients.cloud.other_regions(clients.fleet.workspaces[workspace].spec.region)

    async def known(url: str) -> bool:
        try:
            await clients.management_at(url, workspace).list_services(once=True)
        except (ServiceError, MissingSecret):
            return False
        return True

    found = await asyncio.gather(*(known(url) for url in elsewhere.values()))
    return [region for region, knows in zip(elsewhere, found, strict=True) if knows]


def find_web_service(workspace: str, name: str, listed: Sequence[WebService]) -> WebService | Problem:
    """Return the one web service with this id or name; service names are not unique (classic-protocol 1.4).

    Args:
        workspace: The name of the workspace's document, for messages.
        name: What the spec says.
        listed: The workspace's web services.
    """
    wanted = _bare(name)
    found = [each for each in listed if _bare(each.id) == wanted] or [each for each in listed if each.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(service.id for service in found)
        text = f"{len(found)} web services of workspace {workspace} are named {name}: {ids}"
        return Problem("service-ambiguous", text, "Use the id of the web service instead of its name")
    return Problem(
        "service-not-found",
        f"Workspace {workspace} has no web service {name}",
        nearest(name, [service.name for service in listed]),
    )


def _bare(identifier: str) -> str:
    """Return an id as it compares: a guid is written with hyphens or without, in either case (classic-protocol 1.3)."""
    return identifier.replace("-", "").lower()


def nearest(name: str, known: Sequence[str]) -> str:
    """Return what may have been meant by a name that there is not."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Found: {', '.join(known) or 'none'}"


def is_reachable(clients: Clients, workspace: str, reach: Reach) -> bool:
    """Whether the cloud knows a workspace's region, and the host of that was not silent."""
    try:
        return not reach.is_silent(clients.cloud.management_url(clients.fleet.workspaces[workspace].spec.region))
    except CloudError:
        return False


async def execution_host(clients: Clients, workspace: str, services: list[WebService]) -> list[Host]:
    """Return where the default endpoints of these web services are called, as far as they show it."""
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


def failed(subject: str, problem: Problem) -> Check:
    """Return the failed check of a problem."""
    text = problem.message.removeprefix(f"{subject}: ")
    return Check(name=problem.code, subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=problem.remedy)
