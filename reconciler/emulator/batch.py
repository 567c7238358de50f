"""The Batch Execution Service: register, start, look at and cancel jobs (classic-protocol 3).

There is no way to list jobs: the id is the only handle.
"""

from datetime import timedelta
from typing import Any

from aiohttp import web
from azure.storage.blob import BlobServiceClient, generate_container_sas

from reconciler.emulator.batch_jobs import CANCELLED, FAILED, FINISHED, NOT_STARTED, QUEUED, RUNNING, BatchJobs
from reconciler.emulator.batch_request import read_job_request, signature_of
from reconciler.emulator.blob_client import BlobReference
from reconciler.emulator.context import Context
from reconciler.emulator.documents import Document
from reconciler.emulator.errors import ServiceError, json_object
from reconciler.emulator.execution_access import EXECUTION_ROUTE, check_api_version, find_service

_NUMBERS = {NOT_STARTED: 0, RUNNING: 1, FAILED: 2, CANCELLED: 3, FINISHED: 4}
# A little before now, as the real ones: the caller's clock may be behind.
_BACKDATED = timedelta(minutes=5)


class BatchExecution:
    """The four operations, for Classic endpoints and New services alike."""

    def __init__(self, context: Context, jobs: BatchJobs) -> None:
        self._context = context
        self._jobs = jobs

    def routes(self) -> list[web.RouteDef]:
        """The routes below each execution service."""
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
        signature = signature_of(self._context.studio.experiment(service.experiment))
        job_request = read_job_request(body, signature, self._context.clock())
        return web.json_response(self._jobs.register(service, job_request))

    async def start(self, request: web.Request) -> web.Response:
        """POST …/jobs/{id}/start: a second one is 400 CannotStartJob."""
        job_id, _ = self._job(request)
        self._jobs.start(job_id)
        return web.Response(status=self._context.studio.behaviour.start_status)

    async def status(self, request: web.Request) -> web.Response:
        """GET …/jobs/{id}: with a fresh read-only SAS for each result at each call."""
        _, job = self._job(request)
        state = job["state"]
        if state == QUEUED:
            state = self._context.studio.behaviour.queued_job_status
        named = self._context.studio.behaviour.status_codes == "names"
        # Members that are null are left out, as in the captured reply.
        answer: dict[str, Any] = {"StatusCode": state if named else _NUMBERS[state]}
        if state == FINISHED:
            answer["Results"] = {name: self._result(where) for name, where in self._jobs.outputs(job).items()}
        if job.get("details"):
            answer["Details"] = job["details"]
        return web.json_response(answer)

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE …/jobs/{id}: 204, whatever state the job is in; its record stays."""
        job_id, _ = self._job(request)
        self._jobs.cancel(job_id)
        return web.Response(status=204)

    def _job(self, request: web.Request) -> tuple[str, Document]:
        service = find_service(self._context, request)
        check_api_version(request)
        job_id = request.match_info["job"].lower()
        job = self._jobs.find(service, job_id)
        if job is None:
            # The documented codes have none for this; the status is a guess (classic-protocol 3).
            raise ServiceError(404, "NotFound", f"There is no job {job_id!r}.")
        return job_id, job

    def _result(self, where: BlobReference) -> dict[str, str]:
        relative = where.relative_location.strip().lstrip("/")
        container = relative.partition("/")[0]
        if where.connection_string is None:
            base = (where.base_location or "").strip().rstrip("/") + "/"
            return {
                "BaseLocation": base,
                "RelativeLocation": relative,
                "SasBlobToken": self._token_without_key(base, container, where),
            }
        # Signed with the key that the caller gave, so that it works for whichever account that is.
        with BlobServiceClient.from_connection_string(where.connection_string) as account:
            token = self._signed(account, container)
            base = account.primary_endpoint.partition("?")[0].rstrip("/") + "/"
        return {"BaseLocation": base, "RelativeLocation": relative, "SasBlobToken": token}

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
