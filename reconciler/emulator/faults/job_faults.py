"""What is ordered for single batch jobs: kept in memory, so a job that runs again after a restart is like any other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.emulator.faults.rules import JobFault


@dataclass(frozen=True)
class JobFate:
    """What becomes of one job.

    Attributes:
        fault: what was ordered.
        released: set when the order is withdrawn.
    """

    fault: JobFault
    released: asyncio.Event

    @property
    def failure(self) -> str | None:
        """The Details with which the job fails at once."""
        if self.fault.fail is None:
            return None
        return f"{self.fault.fail}: {self.fault.message or 'This failure was ordered by a fault rule.'}"

    @property
    def worker_dies(self) -> bool:
        """Whether the process that works for the job is killed."""
        return self.fault.worker_dies

    def omits(self, output: str) -> bool:
        """Return whether an output is not written."""
        return any(fnmatchcase(output, glob) for glob in self.fault.omit)

    async def hang(self) -> None:
        """Wait until the job may go on."""
        if self.fault.hang:
            await self.released.wait()


class JobFaults:
    """The fates of jobs, by their ids."""

    def __init__(self) -> None:
        self._fates: dict[str, JobFate] = {}

    def order(self, job_id: str, fate: JobFate) -> bool:
        """Set a job's fate; return False if the job has one already."""
        return self._fates.setdefault(job_id, fate) is fate

    def withdraw(self, job_id: str) -> None:
        """Withdraw the fault of a job that was not started or has ended."""
        self._fates.pop(job_id, None)

    def of(self, job_id: str) -> JobFate | None:
        """Return the fate of a job; None for one that runs as it should."""
        return self._fates.get(job_id)
