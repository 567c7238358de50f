"""Long-running operations of Azure Resource Manager: what a poll shows, and their life across a restart.

An operation is a document of the collection ``operations``, under its id. It is on disk before the request that
started it is answered, and an unfinished one is taken up again when the emulator starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self, TypeAlias

from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.web_services import timestamp
from reconciler.emulator.documents import Documents

COLLECTION = "operations"

_log = logging.getLogger(__name__)
_KEPT_FOR = timedelta(days=1)
"""How long an operation that ended can still be polled after a restart; nothing says how long the service kept one."""

Action: TypeAlias = Literal["put", "patch", "delete", "regional"]


@dataclass(frozen=True)
class Failure:
    """Why an operation failed, as its poll says it."""

    code: str
    message: str


@dataclass(frozen=True)
class Operation:
    """One long-running operation.

    Attributes:
        id: GUID, the last segment of its poll URL.
        action: What it does.
        resource: Key of the document that it works on.
        subscription: GUID, as the request wrote it.
        location: Region without spaces, ``southcentralus``.
        seconds: How long it takes at least.
        start_time: ISO 8601.
        status: ``Provisioning`` until it ended.
        end_time: ISO 8601, None until it ended.
        failure: Why it failed.
        proposal: What becomes of the resource if it succeeds; gone when it ended.
        region: Code of the region that it prepares, for ``regional``.
    """

    id: str
    action: Action
    resource: str
    subscription: str
    location: str
    seconds: float
    start_time: str
    status: Literal["Provisioning", "Succeeded", "Failed"] = "Provisioning"
    end_time: str | None = None
    failure: Failure | None = None
    proposal: Json | None = field(default=None, repr=False)
    region: str | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the operation of a document of the collection."""
        failure = document["failure"]
        return cls(**{**document, "failure": None if failure is None else Failure(**failure)})

    def path(self, kind: Literal["operationsStatus", "operationresults"]) -> str:
        """Return the path at which it is polled."""
        provider = f"/subscriptions/{self.subscription}/providers/Microsoft.MachineLearning"
        return f"{provider}/locations/{self.location}/{kind}/{self.id}"

    def poll_body(self, now: datetime) -> Json:
        """Return what a poll shows: the field is ``status``, and ``endTime`` is there once it ended [O].

        The shape of a failure is in no recording; it is that of ARM in general [I].
        """
        body: Json = {
            "id": self.path("operationsStatus"),
            "name": self.id,
            "status": self.status,
            "startTime": self.start_time,
        }
        if self.end_time is not None:
            body["endTime"] = self.end_time
        body["percentComplete"] = 1.0 if self.end_time is not None else self._progress(now)
        if self.failure is not None:
            body["error"] = {"code": self.failure.code, "message": self.failure.message}
        return body

    def _progress(self, now: datetime) -> float:
        # Seen while running: 0.2, 0.5, 0.6, 0.9.
        elapsed = (now - datetime.fromisoformat(self.start_time)).total_seconds()
        return min(0.9, max(0.2, int(10 * elapsed / self.seconds) / 10)) if self.seconds > 0 else 0.9


@dataclass(frozen=True)
class Conclusion:
    """How the work of an operation came out.

    Attributes:
        write: Changes the resource; called in the transaction that ends the operation.
        failure: Why it failed, None if it succeeded.
    """

    write: Callable[[], None]
    failure: Failure | None = None


class Operations:
    """The operations of an emulator, and the tasks that carry them out."""

    def __init__(
        self,
        documents: Documents,
        clock: Callable[[], datetime],
        work: Callable[[Operation], Awaitable[Conclusion]],
    ) -> None:
        self._documents = documents
        self._collection = documents.collection(COLLECTION)
        self._clock = clock
        self._work = work
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def find(self, operation_id: str) -> Operation | None:
        """Return the operation of that id, in any casing."""
        document = self._collection.get(operation_id.lower())
        return None if document is None else Operation.from_document(document)

    def begin(self, operation: Operation, mark: Callable[[], None]) -> None:
        """Record the operation and, with `mark`, that its resource is being worked on; then start it."""
        with self._documents.transaction():
            mark()
            self._collection[operation.id] = asdict(operation)
        self._start(operation)

    async def ended(self, operation_id: str) -> None:
        """Wait for the end of an operation; return at once if it is not running."""
        if task := self._tasks.get(operation_id):
            await asyncio.wait([task])

    def resume(self) -> None:
        """Resume what an earlier process left unfinished, and forget what ended long ago."""
        oldest = timestamp(self._clock() - _KEPT_FOR)
        for key in self._collection:
            operation = Operation.from_document(self._collection[key])
            if operation.end_time is None:
                self._start(operation)
            elif operation.end_time < oldest:
                del self._collection[key]

    async def close(self) -> None:
        """Stop working; `resume` in another process continues what is unfinished."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, operation: Operation) -> None:
        task = asyncio.create_task(self._carry_out(operation), name=f"{operation.action} {operation.resource}")
        self._tasks[operation.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(operation.id, None))

    async def _carry_out(self, operation: Operation) -> None:
        elapsed = (self._clock() - datetime.fromisoformat(operation.start_time)).total_seconds()
        ready_at = asyncio.get_running_loop().time() + max(0.0, operation.seconds - elapsed)
        conclusion = await self._work(operation)
        await asyncio.sleep(ready_at - asyncio.get_running_loop().time())
        ended = replace(
            operation,
            status="Succeeded" if conclusion.failure is None else "Failed",
            end_time=timestamp(self._clock()),
            failure=conclusion.failure,
            proposal=None,
        )
        with self._documents.transaction():
            conclusion.write()
            self._collection[operation.id] = asdict(ended)
        reason = "" if ended.failure is None else f" ({ended.failure.code})"
        _log.info("%s %s: %s%s", operation.action, operation.resource, ended.status, reason)
