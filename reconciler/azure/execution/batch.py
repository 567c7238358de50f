"""The Batch Execution Service: jobs of one endpoint or service (classic-protocol 3, new-protocol 4).

A job is registered, then started; one that was never started never runs and costs nothing. Nothing lists
jobs: the id is the only handle.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from reconciler.azure.credentials import Credential
from reconciler.azure.errors import (
    InvalidReply,
    LostReply,
    NotFound,
    ServiceError,
    ServiceUnavailable,
    redact,
)
from reconciler.azure.http import Http
from reconciler.azure.storage.blobs import BlobReference, StoredBlob

__all__ = ["BatchExecution", "BatchRequest", "BlobReference", "JobState", "JobStatus", "StoredBlob"]

_VERSION = {"api-version": "2.0"}

# What an unknown id is answered with is not known (classic-protocol 3): these are the candidates of the table
# in 4.1.
_UNKNOWN_JOB = ("MissingJobId", "UnknownJobStatusCode", "JobNotFound", "BatchJobNotFound")


class JobState(StrEnum):
    """A job's state, in the order of its numbers 0 to 4 (classic-protocol 3)."""

    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    FINISHED = "Finished"

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self in {JobState.FAILED, JobState.CANCELLED, JobState.FINISHED}


_STATES: Mapping[str, JobState] = {
    **{state.value.lower(): state for state in JobState},
    **{str(number): state for number, state in enumerate(JobState)},
    "canceled": JobState.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as it stands. ``results`` are there when it has finished, ``details`` say why it has failed."""

    state: JobState
    results: Mapping[str, BlobReference] = field(default_factory=dict)
    details: str = ""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What to run: inputs, outputs and global parameters by their names, whose letter case matters.

    A parameter that is secret, as a signed URL is, comes wrapped. ``pool`` is the dedicated Azure Batch pool to run on.
    """

    inputs: Mapping[str, StoredBlob | BlobReference] = field(default_factory=dict)
    outputs: Mapping[str, StoredBlob] = field(default_factory=dict)
    parameters: Mapping[str, str | int | float | bool | SecretStr] = field(default_factory=dict)
    pool: str | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON body; empty parts are left out."""
        body: dict[str, Any] = {}
        if self.inputs:
            body["Inputs"] = {name: _reference(blob) for name, blob in self.inputs.items()}
        if self.outputs:
            body["Outputs"] = {name: _reference(blob) for name, blob in self.outputs.items()}
        body["GlobalParameters"] = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.parameters.items()
        }
        if self.pool is not None:
            body["AzureBatchPoolId"] = self.pool
        return body


class BatchExecution:
    """The jobs of one Classic endpoint or New service."""

    def __init__(self, http: Http, api_location: str, key: Credential) -> None:
        """Make a client; ``api_location`` is the base URL that the service gave, ``key`` the endpoint's own."""
        self._http = http
        self._jobs = f"{api_location.rstrip('/')}/jobs"
        self._key = key

    async def register(self, request: BatchRequest) -> str:
        """Register a job without starting it; returns its id.

        Sent once: whoever gets an error may register again, because a job that is never started costs
        nothing.

        Raises:
            ServiceError: as `Http.request`.
        """
        operation = "register a batch job"
        reply = await self._http.request(
            "POST",
            self._jobs,
            token=self._key,
            json=request.body(),
            params=_VERSION,
            idempotent=False,
            operation=operation,
        )
        job_id = reply.expect(str, operation)
        if not job_id:
            raise InvalidReply("the answer has no job id", operation=operation, status=reply.status)
        return job_id

    async def start(self, job_id: str) -> JobStatus:
        """See to it that a job is started, whatever became of earlier tries; gives its status.

        A lost answer, a server error and the refusal to start twice are all settled by reading the job. If it
        still
        stands as not started it is started once more, which does no harm: the state guards it
        (classic-protocol 3).

        Raises:
            NotFound: the job does not exist.
            ServiceError: as `Http.request`; of these, `LostReply` and `ServiceUnavailable` leave it open
                whether the job was started.
        """
        try:
            return await self._start(job_id)
        except (LostReply, ServiceUnavailable):
            status = await self.status(job_id)
            if status.state is not JobState.NOT_STARTED:
                return status
        return await self._start(job_id)

    async def _start(self, job_id: str) -> JobStatus:
        try:
            await self._http.request(
                "POST",
                f"{self._job(job_id)}/start",
                token=self._key,
                params=_VERSION,
                operation=f"start batch job {job_id}",
            )
        except ServiceError as error:
            # InvalidOperation is the class of CannotStartJob, and all that a reply without details says.
            if not error.has_code("CannotStartJob", "InvalidOperation"):
                raise _as_not_found(error) from None
        return await self.status(job_id)

    async def status(self, job_id: str) -> JobStatus:
        """Return a job as it stands, its results with fresh signatures.

        Raises:
            NotFound: the job does not exist.
            ServiceError: as `Http.request`.
        """
        operation = f"get batch job {job_id}"
        try:
            reply = await self._http.request(
                "GET", self._job(job_id), token=self._key, params=_VERSION, operation=operation
            )
        except ServiceError as error:
            raise _as_not_found(error) from None
        content = reply.expect(dict, operation)
        if content is None:
            raise NotFound("the job does not exist", operation=operation, status=reply.status)
        return _status(content, operation)

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended or is not known is fine.

        Raises:
            ServiceError: as `Http.request`.
        """
        operation = f"cancel batch job {job_id}"
        with contextlib.suppress(NotFound):
            try:
                await self._http.request(
                    "DELETE", self._job(job_id), token=self._key, params=_VERSION, operation=operation
                )
            except ServiceError as error:
                raise _as_not_found(error) from None

    def _job(self, job_id: str) -> str:
        return f"{self._jobs}/{quote(job_id, safe='')}"


def _reference(blob: StoredBlob | BlobReference) -> dict[str, str]:
    if isinstance(blob, StoredBlob):
        return {
            "ConnectionString": blob.connection_string.get_secret_value(),
            "RelativeLocation": blob.relative.lstrip("/"),
        }
    return {
        "BaseLocation": blob.base,
        "RelativeLocation": blob.relative,
        "SasBlobToken": blob.sas.get_secret_value(),
    }


def _as_not_found(error: ServiceError) -> ServiceError:
    """``error``, as `NotFound` if it is one of the ways in which a service may say so."""
    # A job's id is the only argument of these calls, so a bad one without details is about it.
    unexplained = error.status == 400 and error.has_code("BadArgument") and not error.detail_codes
    if isinstance(error, NotFound) or not (unexplained or error.has_code(*_UNKNOWN_JOB)):
        return error
    return NotFound(
        error.message,
        operation=error.operation,
        status=error.status,
        code=error.code,
        detail_codes=error.detail_codes,
        request_id=error.request_id,
    )


def _status(content: Mapping[str, Any], operation: str) -> JobStatus:
    given = content.get("StatusCode", content.get("statusCode"))
    state = _STATES.get(str(given).strip().lower()) if given is not None else JobState.NOT_STARTED
    if state is None:
        raise InvalidReply(f"unknown StatusCode {given!r}", operation=operation, status=200)
    results = content.get("Results")
    return JobStatus(
        state=state,
        results={
            str(name): reference
            for name, item in (results.items() if isinstance(results, Mapping) else ())
            if (reference := _result(item)) is not None
        },
        details=redact(str(content.get("Details") or "").strip()),
    )


def _result(item: object) -> BlobReference | None:
    if not isinstance(item, Mapping):
        return None
    base, relative, sas = (item.get(name) or "" for name in ("BaseLocation", "RelativeLocation", "SasBlobToken"))
    if not base or not relative:
        return None
    return BlobReference.of(str(base), str(relative), str(sas))
