"""Looks at a started job until it has ended, and cancels it when its time is over."""

from __future__ import annotations

import asyncio
import contextlib

from reconciler.apply.progress import ProgressState
from reconciler.apply.run import Run
from reconciler.apply.training.service import TrainingJobs
from reconciler.azure.errors import NotFound, Retired, ServiceError, SignInError
from reconciler.azure.execution.batch import JobState, JobStatus
from reconciler.store import Operation

_LONGEST_PAUSE = 30.0
_UNKNOWN_FOR_GOOD = 3
"""A single 404 may come from a gateway; giving the job up costs a second training."""


class JobLost(Exception):
    """The service does not know the job any more; a new attempt is needed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


class JobOverdue(Exception):
    """The job did not end in its time, and was cancelled."""


async def watch_job(run: Run, jobs: TrainingJobs, operation: Operation) -> JobStatus:
    """How a job ended. One that the service lost the start of is started.

    Args:
        run: The run.
        jobs: Those of its training service.
        operation: A started one, with its deadline.

    Raises:
        JobLost: the service does not know it any more.
        JobOverdue: its time was over; it is cancelled.
        ServiceError: it cannot be seen, and its time is over; or the key is not accepted, or the service has gone.
    """
    job_id, subject = operation.job_id or "", f"{operation.model}@{operation.label}"
    pause = run.clients.cloud.poll.total_seconds()
    unknown = 0
    while True:
        overdue = operation.deadline is not None and run.clock() >= operation.deadline
        try:
            status = await jobs.status(job_id)
            unknown = 0
            run.report(subject, ProgressState.WAITING, f"job {job_id[:8]} {_words(status.state)}")
            if status.state.ended:
                return status
            if overdue:
                return await _give_up(jobs, job_id)
            if status.state is JobState.NOT_STARTED:
                # The start was lost on the service's side: nothing runs, so starting it is right.
                await jobs.start(job_id)
        except NotFound as error:
            unknown += 1
            if unknown == _UNKNOWN_FOR_GOOD:
                raise JobLost(job_id) from error
            run.report(subject, ProgressState.WAITING, f"the service does not know the job, looking again: {error}")
        except (SignInError, Retired):
            raise
        except ServiceError as error:
            if overdue:
                raise  # It stays open: the next run looks again, and cancels it if it still runs.
            run.report(subject, ProgressState.WAITING, f"the job cannot be seen now, looking again: {error}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def _give_up(jobs: TrainingJobs, job_id: str) -> JobStatus:
    await jobs.cancel(job_id)
    with contextlib.suppress(NotFound):  # A service may erase what it cancels (classic-protocol 3).
        last = await jobs.status(job_id)
        if last.state is JobState.FINISHED:
            return last  # It ended between the look and the cancel: what it made is good.
    raise JobOverdue(job_id)


def _words(state: JobState) -> str:
    return {"NotStarted": "is registered", "Running": "is running"}.get(state.value, f"has {state.value.lower()}")
