"""Which commitment plan pays for a New web service.

No service says it: it is learnt from the plans' associations, and changed by moving one (new-protocol 5).
"""

from __future__ import annotations

import asyncio
from typing import Any

from reconciler.azure.arm.definition import member
from reconciler.azure.arm.web_service_writes import PLANS_VERSION, ServiceWrites
from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.errors import NotFound


class Commitments:
    """The associations of commitment plans, each plan asked once a pass. All methods raise ServiceError."""

    def __init__(self, definitions: Definitions, writes: ServiceWrites) -> None:
        self._definitions = definitions
        self._writes = writes
        self._listed: dict[str, asyncio.Future[list[dict[str, Any]]]] = {}

    async def plan_of(self, resource_id: str, expected: str) -> str | None:
        """Return the id of the plan that pays for a service; ``expected``, if it is that, as it is spelt there."""
        if await self._association(expected, resource_id) is not None:
            return expected
        for plan in await self._plans(resource_id):
            if await self._association(plan, resource_id) is not None:
                return plan
        return None

    async def move(self, resource_id: str, plan: str) -> bool:
        """Move a service to a plan. False if no plan pays for it, so that there is nothing to move."""
        self._listed.clear()
        current = await self.plan_of(resource_id, plan)
        if current is None or current.casefold() == plan.casefold():
            return current is not None
        association = await self._association(current, resource_id)
        if association is not None:
            await self._writes.move_association(f"{current}/commitmentAssociations/{association}", plan)
        self._listed.clear()
        return True

    def forget(self) -> None:
        """Ask again from now on: something was written."""
        self._listed.clear()

    async def _plans(self, resource_id: str) -> list[str]:
        """Return the ids of all plans of the service's subscription."""
        subscription = resource_id.split("/")[2]
        path = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearning/commitmentPlans"
        found = await self._once(path, "list commitment plans")
        return [str(plan["id"]) for plan in found if isinstance(plan.get("id"), str)]

    async def _association(self, plan: str, resource_id: str) -> str | None:
        """Return the name of a service's association with a plan."""
        try:
            found = await self._once(f"{plan}/commitmentAssociations", "list the services of a commitment plan")
        except NotFound:
            return None
        for association in found:
            owner = member(association, "properties", "associatedResourceId")
            if isinstance(owner, str) and owner.casefold() == resource_id.casefold():
                return str(association.get("name"))
        return None

    async def _once(self, path: str, operation: str) -> list[dict[str, Any]]:
        key = path.casefold()
        if key not in self._listed:
            asking = self._definitions.read_all(path, PLANS_VERSION, operation)
            self._listed[key] = asyncio.ensure_future(asking)
        return await asyncio.shield(self._listed[key])
