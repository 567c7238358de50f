"""Finds the endpoint of the Classic web service that a model is trained with."""

from __future__ import annotations

from pydantic import SecretStr

from reconciler.plan.states import Problem
from reconciler.spec.documents import ClassicTraining
from reconciler.targets.connections import Connections
from reconciler.targets.web_services import find_web_service, nearest


class NoTrainingService(Exception):
    """There is nothing to train with. The message names what there is."""


async def training_service_problem(connections: Connections, workspace: str, wanted: ClassicTraining) -> Problem | None:
    """What stands in the way of finding the training service; None if it is there.

    Raises:
        ServiceError, MissingSecret, CloudError: the workspace can't be asked.
    """
    found = find_web_service(workspace, wanted.web_service, await connections.web_services(workspace))
    return found if isinstance(found, Problem) else None


async def find_training_service(
    connections: Connections, workspace: str, wanted: ClassicTraining
) -> tuple[str, SecretStr]:
    """Where the endpoint is called, and its key.

    Args:
        connections: The pass's clients.
        workspace: The name of the workspace's document.
        wanted: The service by its name, if that is unique, or its id, and its endpoint.

    Raises:
        NoTrainingService: there is no such service or endpoint, or more than one, or it does not say where it is.
        ServiceError: the service refuses, or can't be reached.
    """
    name = wanted.web_service
    service = find_web_service(workspace, name, await connections.web_services(workspace))
    if isinstance(service, Problem):
        raise NoTrainingService(f"{service.message} to train with; {service.remedy}")
    management = connections.management(workspace)
    endpoint = await management.get_endpoint(service.id, wanted.endpoint)
    if endpoint is None:
        known = nearest(wanted.endpoint, [each.name for each in await management.list_endpoints(service.id)])
        raise NoTrainingService(f"training service {name} has no endpoint {wanted.endpoint}; {known}")
    if endpoint.api_location is None or endpoint.primary_key is None:
        raise NoTrainingService(f"the service does not show where endpoint {wanted.endpoint} of {name} is called")
    return endpoint.api_location, endpoint.primary_key
