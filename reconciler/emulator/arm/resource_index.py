"""The generic list of resources, which is Azure Resource Manager's own: no ``properties`` (new-protocol 7).

The real list is eventually consistent; this one is at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from reconciler.emulator.arm import commitment_plans, web_services
from reconciler.emulator.arm.commitment_plans import Plan
from reconciler.emulator.arm.commitment_tiers import RESOURCE_TYPE as PLAN_TYPE
from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.errors import ArmError
from reconciler.emulator.arm.paging import page
from reconciler.emulator.arm.web_services import WebService
from reconciler.emulator.config.regions import region_code
from reconciler.emulator.documents import Documents

Test = Callable[[Json], bool]

_TEXT = r"'((?:[^']|'')*)'"
_COMPARISON = re.compile(rf"\s*(\w+)\s+(eq|ne)\s+{_TEXT}\s*", re.IGNORECASE)
_STARTS = re.compile(rf"\s*startswith\(\s*(\w+)\s*,\s*{_TEXT}\s*\)\s*", re.IGNORECASE)
_CONTAINS = re.compile(rf"\s*substringof\(\s*{_TEXT}\s*,\s*(\w+)\s*\)\s*", re.IGNORECASE)
_JOINT = re.compile(r"(and|or)\b", re.IGNORECASE)
_EXPANDABLE = ("createdTime", "changedTime", "provisioningState")


class ResourceIndex:
    """The web services and commitment plans of an emulator."""

    def __init__(self, documents: Documents, page_size: int) -> None:
        self._services = documents.collection(web_services.COLLECTION)
        self._plans = documents.collection(commitment_plans.COLLECTION)
        self._page_size = page_size

    def list(self, request: web.Request, prefix: str) -> web.Response:
        """Return the page of resources that a request asks for.

        Args:
            request: its ``$filter``, ``$expand``, ``$top`` and ``$skiptoken`` are taken.
            prefix: what the ids of the resources start with.

        Raises:
            ArmError: 400 for a filter that is not understood.
        """
        accepts = _filter(request.query.get("$filter", ""))
        items = {item["id"].lower(): item for item in self._items(prefix.lower())}
        keys = [key for key, item in items.items() if accepts(item)]
        expand = {name.strip().lower() for name in request.query.get("$expand", "").split(",")}
        hidden = {name for name in _EXPANDABLE if name.lower() not in expand} | {"resourceGroup"}

        def show(item: Json) -> Json:
            return {name: value for name, value in item.items() if name not in hidden and value is not None}

        return page(request, items, keys, _size(request, self._page_size), show)

    def _items(self, prefix: str) -> Iterator[Json]:
        for key, document in self._services.items():
            if key.startswith(prefix):
                service = WebService.from_document(document)
                item = _item(service.id, web_services.RESOURCE_TYPE, region_code(service.location), service.tags)
                times = {"createdTime": service.created_on, "changedTime": service.modified_on}
                yield {**item, **times, "provisioningState": service.state}
        for key, document in self._plans.items():
            if key.startswith(prefix):
                plan = Plan.from_document(document)
                item = _item(plan.id, PLAN_TYPE, plan.location, plan.tags)
                times = {"createdTime": plan.created_on, "changedTime": plan.created_on}
                sku = {"name": plan.tier.name, "tier": plan.tier.tier, "capacity": plan.capacity}
                yield {**item, "sku": sku, **times, "provisioningState": "Succeeded"}


def _item(resource_id: str, resource_type: str, location: str, tags: Mapping[str, str] | None) -> Json:
    segments = resource_id.split("/")
    return {
        "id": resource_id,
        "name": segments[-1],
        "type": resource_type,
        "location": location,
        "tags": tags,
        "resourceGroup": segments[4],
    }


def _size(request: web.Request, page_size: int) -> int:
    top = request.query.get("$top")
    if top is None:
        return page_size
    if not top.isdecimal() or int(top) < 1:
        raise ArmError(400, "InvalidTopInQueryString", f"Invalid $top '{top}' specified in the query string.")
    return min(int(top), page_size)


def _filter(text: str) -> Test:
    """Return the test of a ``$filter``: comparisons joined by ``and`` and ``or``, of which ``and`` binds closer.

    Raises:
        ArmError: 400, as ARM answers a filter that it does not know.
    """
    if not text.strip():
        return lambda _: True
    refusal = ArmError(400, "InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string.")
    alternatives: list[list[tuple[str, str, str]]] = [[]]
    rest = text
    while True:
        clause, length = _clause(rest)
        if clause is None:
            raise refusal
        alternatives[-1].append(clause)
        rest = rest[length:]
        if not rest:
            break
        joint = _JOINT.match(rest)
        if joint is None:
            raise refusal
        if joint[1].lower() == "or":
            alternatives.append([])
        rest = rest[joint.end() :]
    return lambda item: any(_all_hold(clauses, item) for clauses in alternatives)


def _clause(text: str) -> tuple[tuple[str, str, str] | None, int]:
    """Return the first comparison of a filter as property, operator and value, and how long it is."""
    if found := _COMPARISON.match(text):
        clause = (found[1].lower(), found[2].lower(), found[3])
    elif found := _STARTS.match(text):
        clause = (found[1].lower(), "startswith", found[2])
    elif found := _CONTAINS.match(text):
        clause = (found[2].lower(), "substringof", found[1])
    else:
        return None, 0
    name, operator, value = clause
    if name not in _PROPERTIES:
        return None, 0
    return (name, operator, value.replace("''", "'").lower()), found.end()


_PROPERTIES: Mapping[str, Callable[[Any], list[str]]] = {
    "resourcetype": lambda item: [item["type"]],
    "name": lambda item: [item["name"]],
    "location": lambda item: [item["location"]],
    "resourcegroup": lambda item: [item["resourceGroup"]],
    "tagname": lambda item: list(item["tags"] or {}),
    "tagvalue": lambda item: list((item["tags"] or {}).values()),
}


def _all_hold(clauses: list[tuple[str, str, str]], item: Json) -> bool:
    names = [value for name, operator, value in clauses if (name, operator) == ("tagname", "eq")]
    for name, operator, wanted in clauses:
        values = [value.lower() for value in _PROPERTIES[name](item)]
        if name == "tagvalue" and names:
            # A name and a value in one filter are those of one tag.
            values = [value.lower() for tag, value in (item["tags"] or {}).items() if tag.lower() in names]
        if name == "location":
            wanted = region_code(wanted)  # noqa: PLW2901 - the form in which locations are compared
        if not _holds(operator, values, wanted):
            return False
    return True


def _holds(operator: str, values: list[str], wanted: str) -> bool:
    match operator:
        case "eq":
            return wanted in values
        case "ne":
            return wanted not in values
        case "startswith":
            return any(value.startswith(wanted) for value in values)
    return any(wanted in value for value in values)
