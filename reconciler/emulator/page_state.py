"""What the page at ``/`` shows: the Studio at this moment, searched and cut to a size that a browser likes.

No key, token or signature is in it: of a place only scheme, host and path are told, and of a request what its log
line tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from reconciler.emulator.batch_jobs import BatchJobs
from reconciler.emulator.classic_services import ClassicServices
from reconciler.emulator.context import Context
from reconciler.emulator.documents import Document
from reconciler.emulator.execution_services import BoundModel
from reconciler.emulator.journal import Journal
from reconciler.emulator.studio_file import Workspace
from reconciler.emulator.web_services import COLLECTION as WEB_SERVICES

DIGEST_DIGITS: Final = 12
_Row = dict[str, Any]


class PageState:
    """Reads the Studio for the page.

    Args:
        context: the emulator's parts.
        classic: its Classic web services.
        jobs: its batch jobs.
        journal: what was asked of it.
    """

    def __init__(self, context: Context, classic: ClassicServices, jobs: BatchJobs, journal: Journal) -> None:
        self._context = context
        self._classic = classic
        self._jobs = jobs
        self._journal = journal

    def read(self, search: str, limit: int) -> Document:
        """The state as JSON.

        Each list says how many things there are (``total``), how many of them match the search (``matching``), and
        shows the first ones (``rows``); jobs and requests are the newest ones. Without a search nothing but what is
        shown is read, whatever the number of endpoints.

        Args:
            search: words that must all be in a row, in any letter case; empty shows everything.
            limit: rows of each list.
        """
        words = search.casefold().split()
        services = sum(len(self._classic.services(workspace.id)) for workspace in self._context.studio.workspaces)
        web_services = self._context.documents.collection(WEB_SERVICES)
        jobs = self._jobs.listing()
        return {
            "at": self._context.clock().isoformat(timespec="milliseconds"),
            "workspaces": [self._workspace(workspace) for workspace in self._context.studio.workspaces],
            "services": _found(self._services(), services, words, limit),
            "endpoints": _found(self._endpoints(), self._endpoint_count(), words, limit),
            "webServices": _found(map(_web_service, web_services.values()), len(web_services), words, limit),
            "jobs": {
                **_found(map(_job, reversed(jobs)), len(jobs), words, limit),
                "states": dict(Counter(job["state"] for job in jobs)),
            },
            "requests": _found(self._requests(), self._journal.last, words, limit),
        }

    def _workspace(self, workspace: Workspace) -> _Row:
        services = self._classic.services(workspace.id)
        return {
            "id": workspace.id,
            "name": workspace.name,
            "region": workspace.region,
            "tier": workspace.tier,
            "services": len(services),
            "endpoints": sum(len(self._classic.endpoints(service)) for service in services),
        }

    def _endpoint_count(self) -> int:
        return sum(
            len(self._classic.endpoints(service))
            for workspace in self._context.studio.workspaces
            for service in self._classic.services(workspace.id)
        )

    def _services(self) -> Iterator[_Row]:
        for workspace in self._context.studio.workspaces:
            for service in self._classic.services(workspace.id).values():
                yield {
                    "id": service["Id"],
                    "name": service["Name"],
                    "workspace": workspace.name,
                    "resource": self._classic.resource_of(service),
                    "endpoints": len(self._classic.endpoints(service["Id"])),
                }

    def _endpoints(self) -> Iterator[_Row]:
        for workspace in self._context.studio.workspaces:
            for service in self._classic.services(workspace.id).values():
                resource = self._classic.resource_of(service)
                for endpoint in self._classic.endpoints(service["Id"]).values():
                    yield {
                        "name": endpoint["Name"],
                        "service": service["Name"],
                        "workspace": workspace.name,
                        "description": endpoint["Description"],
                        "throttleLevel": endpoint["ThrottleLevel"],
                        "maxConcurrentCalls": endpoint["MaxConcurrentCalls"],
                        "model": self._model(workspace, endpoint, resource),
                    }

    def _model(self, workspace: Workspace, endpoint: Document, resource: str | None) -> _Row | None:
        if resource is None:
            return None
        binding = self._context.execution.binding(self._classic.path_of(workspace.id, endpoint), resource)
        if binding is None:
            return None
        shown = {**_bound(binding.model), "since": binding.since}
        if binding.next is not None:
            shown["next"] = {**_bound(binding.next), "since": binding.next_from}
        return shown

    def _requests(self) -> Iterator[_Row]:
        names = ("number", "at", "method", "path", "query", "operation", "status", "ms", "kind", "caller", "fault")
        for entry in reversed(self._journal.entries(caller=None)):
            yield {name: getattr(entry, name) for name in names}


def without_secrets(place: str) -> str:
    """A place without what may be secret in it: a user's name and password, a query with its signature."""
    try:
        parts = urlsplit(place)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "(not a URL)"
    host = f"{parts.scheme}://{parts.hostname or ''}{port}" if parts.scheme else ""
    return host + parts.path


def _bound(model: BoundModel) -> _Row:
    where = f"{model.base_location or ''}{model.relative_location or ''}"
    return {"location": without_secrets(where) if where else None, "digest": model.digest[:DIGEST_DIGITS]}


def _web_service(document: Document) -> _Row:
    group = document["id"].lower().partition("/resourcegroups/")[2].partition("/")[0]
    return {
        "name": document["name"],
        "group": group,
        "location": document["location"],
        "state": document["state"],
        "changed": document["modified_on"],
        "models": [
            {
                "name": model["name"],
                "location": without_secrets(model["uri"]),
                "digest": model["digest"][:DIGEST_DIGITS],
            }
            for model in document["models"].values()
        ],
    }


def _job(job: Document) -> _Row:
    outputs = {name: without_secrets(place) for name, place in job["outputs"].items()}
    return {**{name: job[name] for name in job if name != "path"}, "outputs": outputs}


def _found(rows: Iterator[_Row], total: int, words: list[str], limit: int) -> _Row:
    if not words:
        return {"total": total, "matching": total, "rows": list(islice(rows, limit))}
    matches = _matcher(words)
    found = [row for row in rows if matches(row)]
    return {"total": total, "matching": len(found), "rows": found[:limit]}


def _matcher(words: list[str]) -> Callable[[_Row], bool]:
    def matches(row: _Row) -> bool:
        text = "\n".join(_texts(row)).casefold()
        return all(word in text for word in words)

    return matches


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int):
        yield str(value)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
