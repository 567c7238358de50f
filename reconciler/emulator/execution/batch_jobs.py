"""Batch jobs: their life from registration to result, kept through a restart (classic-protocol 3).

    NotStarted ──start──► Queued ──turn──► Running ──► Finished | Failed
        └──────────────────cancel──────────────┴─────► Cancelled

A job that was queued or running when the process ended runs again from the beginning at the next start: it writes the
same outputs to the same places. One that was never started stays as it is.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from reconciler.emulator.context import Context
from reconciler.emulator.documents import Document
from reconciler.emulator.execution.batch_request import JobRequest, signature_of
from reconciler.emulator.execution.batch_run import JobFailed, run_job
from reconciler.emulator.execution.errors import invalid_operation
from reconciler.emulator.execution.programs import program_of
from reconciler.emulator.execution.services import ExecutionService
from reconciler.emulator.storage.client import BlobReference

NOT_STARTED, QUEUED, RUNNING = "NotStarted", "Queued", "Running"
FINISHED, FAILED, CANCELLED = "Finished", "Failed", "Cancelled"
OUTPUT_CONTAINER = "experimentoutput"

_log = logging.getLogger("reconciler.emulator")


class BatchJobs:
    """Every batch job of the emulator, and the queue of each execution service."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._jobs = context.documents.collection("jobs")
        self._queues: dict[str, deque[str]] = {}
        self._running: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._closing = False

    def register(self, service: ExecutionService, request: JobRequest) -> str:
        """Keep a job that does nothing until it is started, and return its id."""
        job_id = self._context.new_id()
        self._jobs[job_id] = {
            "service": service.path,
            "title": service.title,
            "endpoint": service.endpoint,
            "state": NOT_STARTED,
            "server": self._context.server_url,
            "inputs": {name: asdict(reference) for name, reference in request.inputs.items()},
            "outputs": {name: asdict(reference) for name, reference in request.outputs.items()},
            "parameters": dict(request.parameters),
            "pool": request.pool,
            "registeredAt": self._now(),
        }
        return job_id

    def find(self, service: ExecutionService, job_id: str) -> Document | None:
        """Return a job of that service; another service's job is not found, nor one that ended too long ago."""
        job = self._jobs.get(job_id)
        if job is None or job["service"] != service.path:
            return None
        ended = job.get("finishedAt")
        kept = self._context.studio.timings.jobs_kept
        forgotten = ended is not None and self._context.clock() - datetime.fromisoformat(ended) > kept
        return None if job.get("erased") or forgotten else job

    def start(self, job_id: str) -> None:
        """Put a registered job into its service's queue.

        Raises:
            ServiceError: 400 CannotStartJob, it was started already.
        """
        job = self._jobs[job_id]
        if job["state"] != NOT_STARTED:
            raise invalid_operation(
                "CannotStartJob", f"The job cannot be started because it is in {job['state']} state."
            )
        self._change(job_id, state=QUEUED, queuedAt=self._now())
        self._enqueue(job["service"], job_id)

    def cancel(self, job_id: str) -> None:
        """End a job that has not ended; nothing happens to one that has."""
        job = self._jobs[job_id]
        if job["state"] in {FINISHED, FAILED, CANCELLED}:
            return
        self._change(job_id, state=CANCELLED, finishedAt=self._now())
        path = job["service"]
        if job_id in (queue := self._queues.get(path, deque())):
            queue.remove(job_id)
        if task := self._running.get(path, {}).get(job_id):
            task.cancel()

    def erase(self, job_id: str) -> None:
        """Make a job unknown to its service; people and tests still find it in the listing."""
        self._change(job_id, erased=True)

    def outputs(self, job: Document) -> dict[str, BlobReference]:
        """Return the places of a job's outputs, at this server's present address."""
        return {name: self._here(job, reference) for name, reference in job["outputs"].items()}

    def resume(self) -> None:
        """Resume the jobs of an earlier process, in the order of their starts."""
        unfinished = [(job_id, job) for job_id, job in self._jobs.items() if job["state"] in {QUEUED, RUNNING}]
        for job_id, job in sorted(unfinished, key=lambda item: str(item[1]["queuedAt"])):
            if job["state"] == RUNNING:
                self._change(job_id, state=QUEUED)
            self._enqueue(job["service"], job_id)

    async def close(self) -> None:
        """Stop running jobs, which stay in the state as they are: the next start resumes them."""
        self._closing = True
        tasks = [task for running in self._running.values() for task in running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def listing(self) -> list[Document]:
        """Return every job in the order of registration, for people and tests; no secrets."""
        return [
            {
                "id": job_id,
                "service": job["title"],
                "endpoint": job["endpoint"],
                "path": job["service"],
                "state": job["state"],
                "registeredAt": job["registeredAt"],
                "queuedAt": job.get("queuedAt"),
                "startedAt": job.get("startedAt"),
                "finishedAt": job.get("finishedAt"),
                "outputs": {name: reference["relative_location"] for name, reference in job["outputs"].items()},
                "details": job.get("details"),
                "pool": job.get("pool"),
            }
            for job_id, job in self._jobs.items()
        ]

    def _enqueue(self, path: str, job_id: str) -> None:
        self._queues.setdefault(path, deque()).append(job_id)
        waits = self._context.studio.timings.queue.total_seconds()
        if waits > 0:
            # Not exactly that long: a place that becomes free before is taken.
            asyncio.get_running_loop().call_later(waits, self._take_next, path)
        else:
            self._take_next(path)

    def _take_next(self, path: str) -> None:
        if self._closing:
            return
        queue, running = self._queues.setdefault(path, deque()), self._running.setdefault(path, {})
        while queue and len(running) < self._context.studio.limits.running_jobs_per_endpoint:
            job_id = queue.popleft()
            self._change(job_id, state=RUNNING, startedAt=self._now())
            running[job_id] = asyncio.create_task(self._run(path, job_id), name=f"batch job {job_id}")

    async def _run(self, path: str, job_id: str) -> None:
        try:
            outcome = await self._outcome(path, job_id)
        except asyncio.CancelledError:
            if self._closing:
                raise
            # Cancelled by a caller: the job says so already, and the next one in the queue gets its place.
            outcome = None
        finally:
            self._running[path].pop(job_id, None)
            self._context.job_faults.withdraw(job_id)
        # A caller may have cancelled it in the very moment in which it ended.
        if outcome is not None and self._jobs[job_id]["state"] == RUNNING:
            self._change(job_id, **outcome, finishedAt=self._now())
        self._take_next(path)

    async def _outcome(self, path: str, job_id: str) -> Document:
        """Run a job, and return the members of its document that say how it ended."""
        job = self._jobs[job_id]
        service = self._context.execution.find(path)
        if service is None:
            return {"state": FAILED, "details": "WebServiceNotFound: the endpoint was deleted"}
        try:
            program = program_of(self._context, service)
            job = self._with_all_outputs(job_id, service, signature_of(program).outputs)
            request = JobRequest(
                inputs={name: self._here(job, reference) for name, reference in job["inputs"].items()},
                outputs=self.outputs(job),
                parameters={
                    name: self._rebased(job, value) if isinstance(value, str) else value
                    for name, value in job["parameters"].items()
                },
            )
            await run_job(self._context, service, program, request, self._context.job_faults.of(job_id))
        except JobFailed as error:
            return {"state": FAILED, "details": str(error)}
        except Exception:  # noqa: BLE001 - whatever happens, a job must end: else its caller polls for ever
            _log.exception("job %s failed inside the emulator", job_id)
            return {"state": FAILED, "details": "InternalError: something failed inside the emulator; see its log"}
        return {"state": FINISHED}

    def _with_all_outputs(
        self, job_id: str, service: ExecutionService, offered: Mapping[str, tuple[str, ...]]
    ) -> Document:
        """Give outputs that the request leaves out a place in the service's own storage account."""
        job = self._jobs[job_id]
        connection_string = self._context.storage.connection_string(service.storage_account, self._context.server_url)
        # Kept before the job runs, at the address that the job was registered at, so that a job which runs again
        # writes to the same place.
        stored = connection_string.replace(self._context.server_url, job["server"])
        added = {
            name: asdict(BlobReference(f"{OUTPUT_CONTAINER}/{job_id}/{name}{extensions[0]}", stored))
            for name, extensions in offered.items()
            if name not in job["outputs"]
        }
        return self._change(job_id, outputs={**job["outputs"], **added}) if added else job

    def _here(self, job: Document, reference: Mapping[str, Any]) -> BlobReference:
        def part(name: str) -> str | None:
            text = reference[name]
            return None if text is None else self._rebased(job, text)

        return BlobReference(
            relative_location=reference["relative_location"],
            connection_string=part("connection_string"),
            base_location=part("base_location"),
            sas_blob_token=reference["sas_blob_token"],
        )

    def _rebased(self, job: Document, text: str) -> str:
        """Return a text with this server's present address: the port may have changed since the registration."""
        return re.sub(rf"{re.escape(job['server'])}(?!\d)", self._context.server_url, text)

    def _change(self, job_id: str, **members: Any) -> Document:
        job = {**self._jobs[job_id], **members}
        self._jobs[job_id] = job
        if "state" in members:
            where = job["title"] + (f" / {job['endpoint']}" if job["endpoint"] else "")
            _log.info("job %s of %s: %s", job_id, where, job["state"])
        return job

    def _now(self) -> str:
        return self._context.clock().isoformat(timespec="milliseconds")
