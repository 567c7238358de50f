"""The Batch Execution Service: register, start, look at and cancel jobs (classic-protocol 3).

There is no way to list jobs: the id is the only handle.
"""

from datetime import timedelta
from typing import Any

from aiohttp import web
from azure.storage.blob import BlobServiceClient, generate_container_sas

from reconciler.emulator.context import Context
from reconciler.emulator.documents import Document
from reconciler.emulator.execution import wire_format
from reconciler.emulator.execution.access import EXECUTION_ROUTE, check_api_version, find_service
from reconciler.emulator.execution.batch_jobs import (
    CANCELLED,
    FAILED,
    FINISHED,
    NOT_STARTED,
    QUEUED,
    RUNNING,
    BatchJobs,
)
from reconciler.emulator.execution.batch_request import read_job_request, signature_of
from reconciler.emulator.execution.errors import Detail, ServiceError, bad_argument, json_object
from reconciler.emulator.execution.programs import program_of
from reconciler.emulator.storage.client import BlobReference

_NUMBERS = {NOT_STARTED: 0, RUNNING: 1, FAILED: 2, CANCELLED: 3, FINISHED: 4}
# A little before now, as the real ones: the caller's clock may be behind.
_BACKDATED = timedelta(minutes=5)


class BatchExecution:
    """The four operations, for Classic endpoints and New services alike."""

    def __init__(self, context: Context, jobs: BatchJobs) -> None:
        self._context = context
        self._behaviour = context.studio.behaviour
        self._jobs = jobs

    def routes(self) -> list[web.RouteDef]:
        """Return the routes below each execution service."""
        return [
            web.post(f"{EXECUTION_ROUTE}/jobs", self.register),
            web.post(f"{EXECUTION_ROUTE}/jobs/{{job}}/start", self.start),
            web.get(f"{EXECUTION_ROUTE}/jobs/{{job}}", self.status),
            web.delete(f"{EXECUTION_ROUTE}/jobs/{{job}}", self.cancel),
        ]

    async def register(self, request: web.Request) -> web.Response:
        """POST …/jobs: the job's id as a JSON string; the job is not queued yet."""
        service = find_service(self._context, request)
        check_api_version(request)
        body = await json_object(request, empty_is="RequestIsEmpty", invalid_is="RequestBodyInvalid")
        signature = signature_of(program_of(self._context, service))
        job_request = read_job_request(body, signature, self._context.clock())
        return web.json_response(self._jobs.register(service, job_request))

    async def start(self, request: web.Request) -> web.Response:
        """POST …/jobs/{id}/start: a second one is 400 CannotStartJob."""
        job_id, _ = self._job(request)
        self._jobs.start(job_id)
        return web.Response(status=self._behaviour.start_status)

    async def status(self, request: web.Request) -> web.Response:
        """GET …/jobs/{id}: with a fresh read-only SAS for each result at each call."""
        _, job = self._job(request)
        outputs = self._jobs.outputs(job) if job["state"] == FINISHED else None
        optional = {
            "Results": None if outputs is None else {name: self._result(where) for name, where in outputs.items()},
            "Details": job.get("details") or None,
        }
        status_code = self._status_code(job["state"])
        return web.json_response(wire_format.with_optional({"StatusCode": status_code}, optional, self._behaviour))

    def _status_code(self, state: str) -> str | int:
        if state == QUEUED:
            state = self._behaviour.queued_job_status
        match self._behaviour.status_codes:
            case "numbers":
                return _NUMBERS[state]
            case "numericStrings":
                return str(_NUMBERS[state])
        return self._behaviour.cancelled_spelling if state == CANCELLED else state

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE …/jobs/{id}: 204, whatever state the job is in; its record stays, or is erased with it."""
        job_id, _ = self._job(request)
        self._jobs.cancel(job_id)
        if self._behaviour.deleted_job == "erases":
            self._jobs.erase(job_id)
        return web.Response(status=204)

    def _job(self, request: web.Request) -> tuple[str, Document]:
        service = find_service(self._context, request)
        check_api_version(request)
        job_id = request.match_info["job"].lower()
        job = self._jobs.find(service, job_id)
        if job is None:
            raise self._no_such_job(job_id)
        return job_id, job

    def _no_such_job(self, job_id: str) -> ServiceError:
        # The documented codes have none for this; each of these is a guess (classic-protocol 3).
        message = f"There is no job {job_id!r}."
        match self._behaviour.unknown_job:
            case "missingJobId":
                return bad_argument("MissingJobId", message)
            case "unknownJobStatusCode":
                return ServiceError(500, "InternalError", "Something failed.", Detail("UnknownJobStatusCode", message))
        return ServiceError(404, "NotFound", message)

    def _result(self, where: BlobReference) -> dict[str, Any]:
        relative = where.relative_location.strip().lstrip("/")
        container = relative.partition("/")[0]
        if where.connection_string is None:
            base = (where.base_location or "").strip().rstrip("/") + "/"
            return self._worded(base, relative, self._token_without_key(base, container, where))
        # Signed with the key that the caller gave, so that it works for whichever account that is.
        with BlobServiceClient.from_connection_string(where.connection_string) as account:
            token = self._signed(account, container)
            base = account.primary_endpoint.partition("?")[0].rstrip("/") + "/"
        return self._worded(base, relative, token)

    def _worded(self, base: str, relative: str, token: str) -> dict[str, Any]:
        shown = wire_format.location(base, relative, token, self._behaviour)
        return wire_format.with_optional(shown, {"ConnectionString": None}, self._behaviour)

    def _signed(self, account: BlobServiceClient, container: str) -> str:
        key = getattr(account.credential, "account_key", None)
        if key is None:
            # The connection string holds a SAS and no key; what the caller may do is all that there is to give.
            return "?" + account.url.partition("?")[2]
        now = self._context.clock()
        signed = generate_container_sas(
            str(account.account_name),
            container,
            account_key=key,
            permission="rl",
            start=now - _BACKDATED,
            expiry=now + self._context.studio.timings.sas_valid_for,
        )
        return f"?{signed}"

    def _token_without_key(self, base: str, container: str, where: BlobReference) -> str:
        for account in self._context.studio.storage_accounts:
            if base == f"{self._context.storage.url(account.name, self._context.server_url)}/":
                valid_for = self._context.studio.timings.sas_valid_for
                return self._context.storage.sign(account.name, container, permissions="rl", valid_for=valid_for)
        # An account whose key is not known here: the caller's own token.
        return "?" + (where.sas_blob_token or "").lstrip("?")
