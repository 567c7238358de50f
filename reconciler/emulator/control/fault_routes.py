"""Faults and the journal under ``/_studio``.

====== =========================== =================================================================================
GET    ``/_studio/operations``     the names that rules can use
GET    ``/_studio/faults``         the rules in force, with their counts
POST   ``/_studio/faults``         adds rules: the content of a file of rules, YAML or JSON; answers with their ids
DELETE ``/_studio/faults``         ends all rules
DELETE ``/_studio/faults/{id}``    ends one
GET    ``/_studio/journal``        requests as JSON lines, oldest first; ``?after=N``, ``operation=``, ``kind=``,
                                   ``caller=``; ``X-Studio-Forgotten`` counts those that are no longer kept
GET    ``/_studio/journal/totals`` how many there were of each operation since the start
====== =========================== =================================================================================
"""

from __future__ import annotations

import json
from typing import Final, cast

from aiohttp import web

from reconciler.emulator.context import CONTROL_PREFIX
from reconciler.emulator.control.journal import Caller, Journal, Kind
from reconciler.emulator.execution.errors import Detail, ServiceError, bad_argument
from reconciler.emulator.faults.operation_names import OPERATIONS
from reconciler.emulator.faults.registry import Faults
from reconciler.emulator.faults.rule_file import FaultsFileError, RuleFile, parse_rules

_KINDS: Final = (None, "read", "score", "write")
_CALLERS: Final = (None, "client", "studio")


class FaultControl:
    """The routes.

    Args:
        faults: the emulator's.
        journal: likewise.
    """

    def __init__(self, faults: Faults, journal: Journal) -> None:
        self._faults = faults
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the module's table."""
        faults = f"{CONTROL_PREFIX}faults"
        return [
            web.get(f"{CONTROL_PREFIX}operations", self.operations),
            web.get(faults, self.list_rules),
            web.post(faults, self.add_rules),
            web.delete(faults, self.clear),
            web.delete(f"{faults}/{{id}}", self.remove),
            web.get(f"{CONTROL_PREFIX}journal", self.read_journal),
            web.get(f"{CONTROL_PREFIX}journal/totals", self.totals),
        ]

    async def operations(self, _: web.Request) -> web.Response:
        """Return the names that rules can use."""
        return web.json_response({"operations": sorted(OPERATIONS)})

    async def list_rules(self, _: web.Request) -> web.Response:
        """Return the rules in force."""
        return web.json_response({"rules": self._faults.listing()})

    async def add_rules(self, request: web.Request) -> web.Response:
        """Add rules: all of them, or none if there is an error."""
        try:
            content = _rules(await request.text())
            ids = self._faults.add(*content.rules, seed=content.seed)
        except (FaultsFileError, ValueError) as error:
            lines = str(error).splitlines()
            raise ServiceError(
                400, "InvalidFaultRule", lines[0], *(Detail("InvalidFaultRule", line) for line in lines)
            ) from error
        return web.json_response({"added": ids}, status=201)

    async def clear(self, _: web.Request) -> web.Response:
        """End all rules."""
        self._faults.clear()
        return web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        """End one rule; 404 if it is not in force."""
        rule_id = request.match_info["id"]
        if rule_id not in {rule["id"] for rule in self._faults.listing()}:
            raise ServiceError(404, "NoSuchFaultRule", f"Rule {rule_id!r} is not in force.")
        self._faults.remove(rule_id)
        return web.Response(status=204)

    async def read_journal(self, request: web.Request) -> web.Response:
        """Return the requests as JSON lines."""
        query = request.query
        after = query.get("after", "0")
        kind, caller = query.get("kind"), query.get("caller")
        if not after.isdecimal() or kind not in _KINDS or caller not in _CALLERS:
            raise bad_argument(
                "InvalidQueryParameter",
                "after is a number, kind is read, score or write, and caller is client or studio.",
            )
        entries = self._journal.entries(
            int(after),
            operation=query.get("operation", "*"),
            kind=cast("Kind | None", kind),
            caller=cast("Caller | None", caller),
        )
        text = "".join(f"{json.dumps(entry.on_wire())}\n" for entry in entries)
        return web.Response(
            text=text,
            content_type="application/x-ndjson",
            headers={"X-Studio-Forgotten": str(self._journal.forgotten(int(after)))},
        )

    async def totals(self, _: web.Request) -> web.Response:
        """Return the number of requests of each operation, kind and caller."""
        return web.json_response(
            {
                "totals": [
                    {"operation": operation, "kind": kind, "caller": caller, "requests": number}
                    for (operation, kind, caller), number in sorted(self._journal.totals().items())
                ]
            }
        )


def _rules(text: str) -> RuleFile:
    content = parse_rules(text, "the body")
    # Nobody could reach the server any more to end it.
    if any(rule.retired == "refused" and rule.lasts is None for rule in content.rules):
        raise FaultsFileError("the body: retired: refused needs lasts here, because only time can end it")
    return content
