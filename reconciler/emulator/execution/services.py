"""What answers scoring calls and batch jobs: Classic endpoints and New web services, in one register.

Both kinds speak one protocol under different paths (new-protocol 4), so scoring and batch know only this.
"""

import hmac
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from reconciler.emulator.documents import Documents

Scope = Literal["workspaces", "subscriptions"]

CODE = "published code"
"""What the bundle of a code service is bound to its endpoints as, where trained models have their names."""


@dataclass(frozen=True)
class ExecutionService:
    """One thing that scores or runs batch jobs.

    Attributes:
        scope: ``workspaces`` for Classic, ``subscriptions`` for New.
        scope_id: the workspace's id, or the subscription's without its dashes (32 hex digits).
        id: the endpoint's GUID, or the New service's (32 hex digits).
        title: the web service's name.
        endpoint: the endpoint's name; None for a New service.
        experiment: name of an experiment in the studio file; None for a service that was published as code.
        primary_key: accepted as a bearer token.
        secondary_key: accepted as well.
        max_concurrent_calls: scoring calls at one time; more are answered 503.
        storage_account: where outputs without a location of their own are written.
    """

    scope: Scope
    scope_id: str
    id: str
    title: str
    endpoint: str | None
    experiment: str | None
    primary_key: str
    secondary_key: str
    max_concurrent_calls: int
    storage_account: str

    @property
    def path(self) -> str:
        """The path of its URL below the server's, without slashes at the ends."""
        return execution_path(self.scope, self.scope_id, self.id)

    def accepts(self, key: str) -> bool:
        """Return whether a caller that gives this key may use the service."""
        # A header may hold bytes that are not text; they match nothing, and must not be an error.
        given = key.encode(errors="surrogateescape")
        # Both are compared in any case: the time that it takes must not reveal which one was close.
        primary = hmac.compare_digest(given, self.primary_key.encode())
        secondary = hmac.compare_digest(given, self.secondary_key.encode())
        return primary or secondary

    def __repr__(self) -> str:
        return f"<ExecutionService {self.path} {self.title!r} {self.endpoint or ''}>"


@dataclass(frozen=True)
class BoundModel:
    """The trained model that an execution service uses: the emulator's own copy, and where it came from."""

    digest: str
    base_location: str | None = None
    relative_location: str | None = None
    sas_blob_token: str | None = field(default=None, repr=False)
    """Kept only where a blob is read at each load."""
    copy_id: str | None = None
    """What the service calls its own copy; derived from the digest for the model that a service starts with."""


@dataclass(frozen=True)
class Binding:
    """Which model a resource is bound to at this moment, and what comes after it.

    Attributes:
        model: the one that is used.
        since: since when, ISO 8601; None if that was not kept.
        next: the one that was bound last, if it is not used yet.
        next_from: when it will be.
    """

    model: BoundModel
    since: str | None
    next: BoundModel | None = None
    next_from: str | None = None


def execution_path(scope: str, scope_id: str, service_id: str) -> str:
    """Return the path of an execution service, which is also its key in the register."""
    return f"{scope}/{scope_id}/services/{service_id}"


class ExecutionServices:
    """The register. Every change is durable when the call returns."""

    def __init__(self, documents: Documents, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._services = documents.collection("execution-services")
        self._models = documents.collection("bound-models")

    def publish(self, service: ExecutionService) -> None:
        """Make a service answer, or change its keys or its limit."""
        self._services[service.path] = asdict(service)

    def withdraw(self, path: str) -> None:
        """Stop a service from answering; nothing happens if there is none at that path."""
        self._services.pop(path, None)
        self._models.pop(path, None)

    def find(self, path: str) -> ExecutionService | None:
        """Return the service at a path."""
        document = self._services.get(path)
        return None if document is None else ExecutionService(**document)

    def bind(self, path: str, resource: str, model: BoundModel, *, takes_effect_in: timedelta) -> None:
        """Give a service another model for one of its resources, used once the time is over.

        Until then the service goes on with what it uses now (classic-protocol 1.7: approximately 30 seconds).
        """
        now = self._clock()
        document: dict[str, Any] = dict(self._models.get(path, {}))
        entry = document.get(resource)
        before = self._in_effect(entry, now)
        document[resource] = {
            "current": before,
            "currentFrom": None if entry is None else entry.get("from" if before is entry["next"] else "currentFrom"),
            "next": asdict(model),
            # The first model has nothing to wait for.
            "from": (now if before is None else now + takes_effect_in).isoformat(),
        }
        self._models[path] = document

    def model(self, path: str, resource: str) -> BoundModel | None:
        """Return the model that scoring uses at this moment."""
        found = self._in_effect(self._models.get(path, {}).get(resource), self._clock())
        return None if found is None else BoundModel(**found)

    def latest_model(self, path: str, resource: str) -> BoundModel | None:
        """Return the model that was bound last, in effect already or not."""
        entry = self._models.get(path, {}).get(resource)
        return None if entry is None else BoundModel(**entry["next"])

    def binding(self, path: str, resource: str) -> Binding | None:
        """Return what a resource is bound to, for people to see."""
        entry = self._models.get(path, {}).get(resource)
        if entry is None:
            return None
        used = self._in_effect(entry, self._clock())
        last = BoundModel(**entry["next"])
        if used is entry["next"]:
            return Binding(last, entry["from"])
        return Binding(BoundModel(**entry["current"]), entry.get("currentFrom"), last, entry["from"])

    def rebound_at(self, path: str, resource: str) -> str:
        """Return when a resource's last model comes into effect; empty if the resource still has its first one."""
        entry = self._models.get(path, {}).get(resource)
        return "" if entry is None or entry["current"] is None else str(entry["from"])

    @staticmethod
    def _in_effect(entry: dict[str, Any] | None, now: datetime) -> dict[str, Any] | None:
        if entry is None:
            return None
        reached = entry["current"] is None or now >= datetime.fromisoformat(entry["from"])
        found: dict[str, Any] = entry["next"] if reached else entry["current"]
        return found
