"""Requests for commitment plans and their associations (new-protocol 5): all of them are answered at once."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from reconciler.emulator.arm.commitment_plans import Association, CommitmentPlans, Plan
from reconciler.emulator.arm.errors import no_such_operation
from reconciler.emulator.arm.exchange import json_object
from reconciler.emulator.arm.paging import page


class CommitmentRequests:
    """Answers for the commitment plans of an emulator."""

    def __init__(self, plans: CommitmentPlans, page_size: int) -> None:
        self._plans = plans
        self._page_size = page_size

    def list(self, request: web.Request, prefix: str) -> web.Response:
        """Return the plans whose ids start with `prefix`."""
        keys = [key for key in self._plans.plans if key.startswith(prefix.lower())]
        return page(
            request,
            self._plans.plans,
            keys,
            self._page_size,
            lambda document: self._plans.view(Plan.from_document(document)),
        )

    async def handle(self, request: web.Request, plan_id: str, names: Sequence[str]) -> web.Response:
        """Answer a request for one plan, or for what is below it.

        Args:
            request: its version has been checked.
            plan_id: resource id, in the request's own casing.
            names: the segments of the path that follow.

        Raises:
            ArmError: what is wrong.
        """
        match request.method, [name.lower() for name in names]:
            case _, []:
                return await self._plan(request, plan_id)
            case "GET", ["commitmentassociations"]:
                associations = {one.name: one for one in self._plans.associations(self._plans.get(plan_id))}
                show = self._plans.association_view
                return page(request, associations, list(associations), self._page_size, show)
            case "GET", ["commitmentassociations", _]:
                return web.json_response(self._plans.association_view(self._association(plan_id, names[1])))
            case "POST", ["commitmentassociations", _, "move"]:
                body = await json_object(request)
                return web.json_response(self._plans.move(self._plans.get(plan_id), names[1], body))
            case "GET", ["usagehistory"]:
                history = {day["usageDate"]: day for day in self._plans.usage_history(self._plans.get(plan_id))}
                return page(request, history, list(history), self._page_size, lambda day: day)
        raise no_such_operation(request)

    async def _plan(self, request: web.Request, plan_id: str) -> web.Response:
        if_match = request.headers.get("If-Match")
        match request.method:
            case "GET":
                plan = self._plans.get(plan_id)
            case "HEAD":
                self._plans.get(plan_id)
                return web.Response(status=204)
            case "PUT":
                # Recorded for a new plan too, though the specification has a 201 as well.
                plan = self._plans.put(plan_id, await json_object(request), if_match)
            case "PATCH":
                plan = self._plans.patch(plan_id, await json_object(request), if_match)
            case "DELETE":
                return web.Response(status=200 if self._plans.delete(plan_id, if_match) else 204)
            case _:
                raise no_such_operation(request)
        return web.json_response(self._plans.view(plan))

    def _association(self, plan_id: str, name: str) -> Association:
        return self._plans.association(self._plans.get(plan_id), name)
