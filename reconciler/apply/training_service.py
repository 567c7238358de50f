"""Finds the endpoint of the Classic web service that a model is trained with."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pydantic import SecretStr

from reconciler.azure.classic import ClassicManagement
from reconciler.spec.documents import ClassicTraining


class NoTrainingService(Exception):
    """There is nothing to train with. The message names what there is."""


async def find_training_service(
    management: ClassicManagement, workspace: str, wanted: ClassicTraining
) -> tuple[str, SecretStr]:
    """Where the endpoint is called, and its key.

    Args:
        management: The workspace's management API.
        workspace: The name of the workspace's document, for messages.
        wanted: The service by its name, if that is unique, or its id, and its endpoint.

    Raises:
        NoTrainingService: there is no such service or endpoint, or more than one, or it does not say where it is.
        ServiceError: the service refuses, or can't be reached.
    """
    name = wanted.web_service
    listed = await management.list_services()
    found = [each for each in listed if each.id == name] or [each for each in listed if each.name == name]
    if not found:
        known = _nearest(name, [each.name for each in listed])
        raise NoTrainingService(f"workspace {workspace} has no web service {name} to train with; {known}")
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise NoTrainingService(
            f"{len(found)} web services of workspace {workspace} are named {name}: name one of {ids}"
        )
    endpoint = await management.get_endpoint(found[0].id, wanted.endpoint)
    if endpoint is None:
        known = _nearest(wanted.endpoint, [each.name for each in await management.list_endpoints(found[0].id)])
        raise NoTrainingService(f"training service {name} has no endpoint {wanted.endpoint}; {known}")
    if endpoint.api_location is None or endpoint.primary_key is None:
        raise NoTrainingService(f"the service does not show where endpoint {wanted.endpoint} of {name} is called")
    return endpoint.api_location, endpoint.primary_key


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there is {', '.join(known) or 'none'}"
