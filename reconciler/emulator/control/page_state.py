"""What the page at ``/`` shows: the emulator at this moment, searched and cut to a size that a browser can handle.

No key, token or signature is in it: of a place only scheme, host and path are shown, and of a request what its log
line shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from reconciler.emulator.arm.web_services import COLLECTION as WEB_SERVICES
from reconciler.emulator.classic.services import ClassicServices
from reconciler.emulator.config.studio_file import Workspace
from reconciler.emulator.context import Context
from reconciler.emulator.control.journal import Entry, Journal
from reconciler.emulator.documents import Document
from reconciler.emulator.execution.batch_jobs import BatchJobs
from reconciler.emulator.execution.services import BoundModel

DIGEST_DIGITS: Final = 12
_Row = dict[str, Any]
_T = TypeVar("_T")


class _Service(NamedTuple):
    """A Classic web service, its updatable resources if it has any, and how many endpoints it has."""

    workspace: Workspace
    document: Document
    resources: tuple[str, ...]
    endpoints: int


class PageState:
    """The state of an emulator for its page.

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
        """Return the state as JSON.

        Each list says how many things there are (``total``), how many of them match the search (``matching``), and
        shows the first ones (``rows``): the newest jobs and requests, and the endpoints that were last given another
        model.

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
            "services": _found(self._services(), services, words, limit, row=_service, text=_service_text),
            "endpoints": _found(
                self._endpoints(), self._endpoint_count(), words, limit, row=self._endpoint, text=self._endpoint_text
            ),
            "webServices": _found(
                web_services.values(), len(web_services), words, limit, row=_web_service, text=_web_service_text
            ),
            "jobs": {
                **_found(reversed(jobs), len(jobs), words, limit, row=_job, text=_job_text),
                "states": dict(Counter(job["state"] for job in jobs)),
            },
            "requests": _found(
                self._journal.newest(), self._journal.last, words, limit, row=_request, text=_request_text
            ),
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

    def _services(self) -> Iterator[_Service]:
        for workspace in self._context.studio.workspaces:
            for service in self._classic.services(workspace.id).values():
                endpoints = len(self._classic.endpoints(service["Id"]))
                yield _Service(workspace, service, self._classic.resources_of(service), endpoints)

    def _endpoints(self) -> list[tuple[_Service, Document]]:
        """Return the endpoints; the latest that was given another model comes first, because people look for that."""
        return sorted(
            (
                (service, endpoint)
                for service in self._services()
                for endpoint in self._classic.endpoints(service.document["Id"]).values()
            ),
            key=self._rebound_at,
            reverse=True,
        )

    def _rebound_at(self, found: tuple[_Service, Document]) -> str:
        service, endpoint = found
        path = self._classic.path_of(service.workspace.id, endpoint)
        return max((self._context.execution.rebound_at(path, name) for name in service.resources), default="")

    def _endpoint(self, found: tuple[_Service, Document]) -> _Row:
        service, endpoint = found
        return {
            "name": endpoint["Name"],
            "service": service.document["Name"],
            "workspace": service.workspace.name,
            "description": endpoint["Description"],
            "throttleLevel": endpoint["ThrottleLevel"],
            "maxConcurrentCalls": endpoint["MaxConcurrentCalls"],
            "code": service.document["Experiment"] is None,
            **self._models(service, endpoint),
        }

    def _endpoint_text(self, found: tuple[_Service, Document]) -> str:
        service, endpoint = found
        text = f"{endpoint['Name']}\n{endpoint['Description']}\n{service.document['Name']}\n{service.workspace.name}"
        path = self._classic.path_of(service.workspace.id, endpoint)
        models = [self._context.execution.latest_model(path, name) for name in service.resources]
        # Of a place only what is shown: a search must not reveal, letter by letter, what a signature is.
        return "\n".join([text, *(f"{model.digest}\n{_place(model) or ''}" for model in models if model is not None)])

    def _models(self, service: _Service, endpoint: Document) -> _Row:
        """Return ``model``, which was changed last, and where there are several ``models``, each with its name."""
        path = self._classic.path_of(service.workspace.id, endpoint)
        latest_first = sorted(
            service.resources, key=lambda name: self._context.execution.rebound_at(path, name), reverse=True
        )
        shown = {name: self._model(path, name) for name in latest_first}
        several = [{"name": name, **(model or {})} for name, model in shown.items()] if len(shown) > 1 else []
        return {"model": next(iter(shown.values()), None), "models": several}

    def _model(self, path: str, resource: str) -> _Row | None:
        binding = self._context.execution.binding(path, resource)
        if binding is None:
            return None
        shown = {**_bound(binding.model), "since": binding.since}
        if binding.next is not None:
            shown["next"] = {**_bound(binding.next), "since": binding.next_from}
        return shown


def without_secrets(place: str) -> str:
    """Return a place without what may be secret in it: a user's name and password, a query with its signature."""
    try:
        parts = urlsplit(place)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "(not a URL)"
    host = f"{parts.scheme}://{parts.hostname or ''}{port}" if parts.scheme else ""
    return host + parts.path


def _place(model: BoundModel) -> str | None:
    where = f"{model.base_location or ''}{model.relative_location or ''}"
    return without_secrets(where) if where else None


def _bound(model: BoundModel) -> _Row:
    return {"location": _place(model), "digest": model.digest[:DIGEST_DIGITS]}


def _service(service: _Service) -> _Row:
    return {
        "id": service.document["Id"],
        "name": service.document["Name"],
        "workspace": service.workspace.name,
        "resource": ", ".join(service.resources) or None,
        "code": service.document["Experiment"] is None,
        "endpoints": service.endpoints,
    }


def _service_text(service: _Service) -> str:
    document = service.document
    return f"{document['Name']}\n{document['Id']}\n{service.workspace.name}\n{', '.join(service.resources)}"


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


def _web_service_text(document: Document) -> str:
    shown = _web_service(document)
    models = [text for model in shown["models"] for text in model.values()]
    return "\n".join([shown["name"], shown["group"], shown["location"], shown["state"], *models])


def _job(job: Document) -> _Row:
    outputs = {name: without_secrets(place) for name, place in job["outputs"].items()}
    return {**{name: job[name] for name in job if name != "path"}, "outputs": outputs}


def _job_text(job: Document) -> str:
    words = [job["id"], job["service"], job["endpoint"], job["state"], job["details"]]
    return "\n".join([*(word or "" for word in words), *map(without_secrets, job["outputs"].values())])


def _request(entry: Entry) -> _Row:
    names = ("number", "at", "method", "path", "query", "operation", "status", "ms", "kind", "caller", "fault")
    return {name: getattr(entry, name) for name in names}


def _request_text(entry: Entry) -> str:
    return f"{entry.method} {entry.path}\n{entry.operation}\n{entry.status}\n{entry.kind}\n{entry.fault}"


def _found(
    things: Iterable[_T],
    total: int,
    words: list[str],
    limit: int,
    *,
    row: Callable[[_T], _Row],
    text: Callable[[_T], str],
) -> _Row:
    """Return a list; a row is made of what is shown alone, while a search needs no more than the text of the others."""
    if not words:
        return {"total": total, "matching": total, "rows": [row(thing) for thing in islice(things, limit)]}
    rows, matching = [], 0
    for thing in things:
        found = text(thing).casefold()
        if all(word in found for word in words):
            matching += 1
            if matching <= limit:
                rows.append(row(thing))
    return {"total": total, "matching": matching, "rows": rows}
