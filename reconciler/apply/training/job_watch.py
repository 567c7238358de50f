"""Looks at a started job, and cancels it when its time is over."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta

from reconciler.apply.progress import ProgressState
from reconciler.apply.report import LookAgain
from reconciler.apply.run import Run
from reconciler.apply.training.service import TrainingJobs
from reconciler.azure.errors import NotFound, Retired, ServiceError, SignInError
from reconciler.azure.execution.batch import JobState, JobStatus
from reconciler.store import Operation

_LONGEST_PAUSE = timedelta(seconds=30)
_UNKNOWN_FOR_GOOD = 3
"""A single 404 may come from a gateway; giving the job up costs a second training."""


class JobLost(Exception):
    """The service does not know the job any more; a new attempt is needed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


class JobOverdue(Exception):
    """The job did not end in its time, and was cancelled."""


@dataclass(slots=True)
class Watch:
    """What the looks at one version's jobs have shown so far, for as long as a run lasts."""

    unknown: int = 0
    """How many looks in a row the service did not know the job in."""
    lost: int = 0
    """How many jobs the service lost."""
    taken_up: bool = False
    """Whether it was reported that a job of an earlier run is taken up."""
    locked: int = 0
    """How many looks in a row another run had the version's lease in."""


async def look(run: Run, jobs: TrainingJobs, operation: Operation, watch: Watch) -> JobStatus | LookAgain:
    """Look at a job once: how it ended, or when to look again. One that the service lost the start of is started.

    Args:
        run: The run.
        jobs: Those of its training service.
        operation: A started one, with its deadline.
        watch: What earlier looks have shown.

    Raises:
        JobLost: the service does not know it any more.
        JobOverdue: its time was over; it is cancelled.
        ServiceError: it cannot be seen, and its time is over; or the key is not accepted, or the service has gone.
    """
    job_id, subject = operation.job_id or "", f"{operation.model}@{operation.label}"
    overdue = operation.deadline is not None and run.clock() >= operation.deadline
    try:
        status = await jobs.status(job_id)
        watch.unknown = 0
        run.report(subject, ProgressState.WAITING, f"job {job_id[:8]} {_words(status.state)}")
        if status.state.ended:
            return status
        if overdue:
            return await _give_up(jobs, job_id)
        if status.state is JobState.NOT_STARTED:
            # The start was lost on the service's side: nothing runs, so starting it is right.
            await jobs.start(job_id)
    except NotFound as error:
        watch.unknown += 1
        if watch.unknown == _UNKNOWN_FOR_GOOD:
            raise JobLost(job_id) from error
        run.report(subject, ProgressState.WAITING, f"the service does not know the job, checking again: {error}")
    except (SignInError, Retired):
        raise
    except ServiceError as error:
        if overdue:
            raise  # It stays open: the next run looks again, and cancels it if it still runs.
        run.report(subject, ProgressState.WAITING, f"the job's state cannot be read, checking again: {error}")
    return look_again(run, operation)


def look_again(run: Run, operation: Operation) -> LookAgain:
    """Return when a job that was started is due: the longer it runs, the less often, but once in half a minute."""
    now = run.clock()
    ran = now - (operation.started_at or now)
    return LookAgain(now + min(max(run.clients.cloud.poll + ran / 2, run.clients.cloud.poll), _LONGEST_PAUSE))


async def _give_up(jobs: TrainingJobs, job_id: str) -> JobStatus:
    await jobs.cancel(job_id)
    with contextlib.suppress(NotFound):  # A service may erase what it cancels (classic-protocol 3).
        last = await jobs.status(job_id)
        if last.state is JobState.FINISHED:
            return last  # It ended between the look and the cancel: what it made is good.
    raise JobOverdue(job_id)


def _words(state: JobState) -> str:
    return {"NotStarted": "is registered", "Running": "is running"}.get(state.value, f"has {state.value.lower()}")
