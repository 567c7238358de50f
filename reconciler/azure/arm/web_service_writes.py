"""The writes of New web services that azure-mgmt-resource has no words for, or too many (new-protocol 3, 5).

Each is seen through to the end of its operation. A ``PATCH`` is `Definitions.patch`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from azure.core.rest import HttpRequest

from reconciler.azure.arm.web_services import API_VERSION, Definitions
from reconciler.azure.error_mapping import read_error_body
from reconciler.azure.errors import ServiceError, ServiceUnavailable

PLANS_VERSION = "2016-05-01-preview"

_PATIENCE = timedelta(minutes=15)
_UNFINISHED = frozenset({"", "accepted", "creating", "deleting", "inprogress", "provisioning", "running", "updating"})


class ServiceWrites:
    """Creates, deletes and prepares New web services, and moves them between commitment plans.

    All methods raise as `Definitions.patch` does.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    async def put(self, resource_id: str, body: Mapping[str, Any], version: str = API_VERSION) -> None:
        """Create a service, or overwrite it silently. Keys that the body leaves out are made anew (new-protocol 1).

        It is sent again when its reply is lost, so the body must bear being written twice.
        """
        await self._write("PUT", resource_id, {"api-version": version}, f"create {_name(resource_id)}", body)

    async def delete(self, resource_id: str, version: str = API_VERSION) -> None:
        """Delete a service; one that is not there is deleted."""
        await self._write("DELETE", resource_id, {"api-version": version}, f"delete {_name(resource_id)}")

    async def prepare_region(self, resource_id: str, region: str) -> None:
        """Make ready what ``GET`` with that region shows: the definition with its secrets encrypted for it."""
        path = f"{resource_id}/CreateRegionalBlob"
        query = {"api-version": API_VERSION, "region": region}
        await self._write("POST", path, query, f"prepare {_name(resource_id)} for {region}")

    async def move_association(self, association_id: str, plan_id: str) -> None:
        """Give a service another commitment plan, which is answered at once."""
        query = {"api-version": PLANS_VERSION}
        body = {"destinationPlanId": plan_id}
        await self._write("POST", f"{association_id}/move", query, f"move to commitment plan {_name(plan_id)}", body)

    async def _write(
        self, method: str, path: str, query: Mapping[str, str], operation: str, body: Mapping[str, Any] | None = None
    ) -> None:
        url = f"{{endpoint}}/{quote(path.strip('/'), safe='/')}?{urlencode(query)}"
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        _, replied = await self._definitions.send(HttpRequest(method, url, headers=headers, content=content), operation)
        link = replied.get("Azure-AsyncOperation")
        if link:
            await self._see_through(link, operation)

    async def _see_through(self, link: str, operation: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                poll = await self._definitions.follow(link, operation)
                while _state(poll) in _UNFINISHED:
                    await asyncio.sleep(self._definitions.pace.total_seconds())
                    poll = await self._definitions.follow(link, operation)
        except TimeoutError:
            message = f"the operation has not ended after {_PATIENCE}"
            raise ServiceUnavailable(message, operation=operation) from None
        if _state(poll) != "succeeded":
            said = read_error_body(json.dumps(poll))
            message = said.message if said.code else "and reports no reason"
            raise ServiceError(
                f"the operation failed: {message}", operation=operation, code=said.code, detail_codes=said.detail_codes
            )


def _state(poll: Mapping[str, Any]) -> str:
    """How far an operation is: ``status`` on the wire, ``provisioningState`` in the specification (new-protocol 3)."""
    members = {str(name).lower(): value for name, value in poll.items()}
    return str(members.get("status") or members.get("provisioningstate") or "").lower()


def _name(resource_id: str) -> str:
    return resource_id.rstrip("/").rpartition("/")[2] or resource_id
