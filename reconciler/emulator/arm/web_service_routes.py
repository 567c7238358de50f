"""Requests for New web services and for the operations that their writes start (new-protocol 1, 3)."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from aiohttp import web

from reconciler.emulator.arm import web_services
from reconciler.emulator.arm.commitment_plans import CommitmentPlans
from reconciler.emulator.arm.concurrent_writes import SecondWrites
from reconciler.emulator.arm.definition import ENVELOPE_START, Json
from reconciler.emulator.arm.definition_format import properties_to_merge, tags_to_write, worded, worded_poll
from reconciler.emulator.arm.definition_versions import has_payload_members, has_regions, shown_form
from reconciler.emulator.arm.errors import (
    ArmError,
    bad_request,
    no_such_operation,
    operation_not_found,
    per_region_payload_not_found,
    web_service_not_found,
)
from reconciler.emulator.arm.exchange import base_url, json_object
from reconciler.emulator.arm.operations import Action, Operation, Operations
from reconciler.emulator.arm.paging import page
from reconciler.emulator.arm.payload_blobs import PayloadBlobs
from reconciler.emulator.arm.proposals import Proposal, as_json, propose_patch, propose_put
from reconciler.emulator.arm.regional_payloads import contents_of_a_copy, for_region
from reconciler.emulator.arm.web_services import (
    WebService,
    accepted_view,
    full_view,
    list_view,
    regional_view,
    timestamp,
)
from reconciler.emulator.config.regions import REGIONS, region_code
from reconciler.emulator.context import Context
from reconciler.emulator.execution.wire_format import member

# Recorded: a deletion takes a tenth to a fifth of the time of the other writes, and the preparation of a region less.
_SHARE_OF_TIME: Mapping[Action, float] = {"put": 1.0, "patch": 1.0, "delete": 0.2, "regional": 0.1}


class WebServiceRequests:
    """Answers for the New web services of an emulator.

    Args:
        context: the emulator's parts.
        operations: what carries out the writes.
        payloads: where large payloads lie.
        plans: the commitment plans that web services may have.
        second_writes: what becomes of a write while another one is under way.
    """

    def __init__(
        self,
        context: Context,
        operations: Operations,
        payloads: PayloadBlobs,
        plans: CommitmentPlans,
        second_writes: SecondWrites,
    ) -> None:
        self._context = context
        self._behaviour = context.studio.behaviour
        self._services = context.documents.collection(web_services.COLLECTION)
        self._operations = operations
        self._payloads = payloads
        self._plans = plans
        self._second_writes = second_writes

    async def handle(
        self, request: web.Request, service_id: str, names: Sequence[str], subscription: str
    ) -> web.Response:
        """Answer a request for one web service, or for what is below it.

        Args:
            request: its version has been checked.
            service_id: resource id, in the request's own casing.
            names: the segments of the path that follow, in lower case.
            subscription: GUID.

        Raises:
            ArmError: what is wrong.
        """
        version = request.query["api-version"]
        match request.method, list(names):
            case "GET" | "HEAD", [] | ["listkeys"]:
                return self._read(request, service_id, version, keys=bool(names))
            case "POST", ["createregionalblob"] if has_regions(version):
                return self._prepare_region(request, service_id)
            case "PUT", []:
                return await self._put(request, service_id, subscription, version)
            case "PATCH", []:
                return await self._patch(request, service_id, version)
            case "DELETE", []:
                return self._delete(request, service_id)
        raise no_such_operation(request)

    # -- reads ---------------------------------------------------------------------------------------------------------

    def list(self, request: web.Request, prefix: str) -> web.Response:
        """Return the web services whose ids start with `prefix`."""
        wanted, url, version = prefix.lower(), self._execution_url(request), request.query["api-version"]
        return page(
            request,
            self._services,
            [key for key in self._services if key.startswith(wanted)],
            self._behaviour.list_page_size,
            lambda document: list_view(WebService.from_document(document), url, version),
        )

    def poll(self, request: web.Request, kind: str, operation_id: str) -> web.Response:
        """Return the state of an operation, asked for by either of its URLs."""
        operation = self._operations.find(operation_id)
        if operation is None or request.method != "GET":
            raise operation_not_found(operation_id)
        if kind == "operationsstatus":
            return web.json_response(worded_poll(operation.poll_body(self._context.clock()), self._behaviour))
        if operation.end_time is None:
            return web.Response(status=202, headers={"Location": _poll_url(request, operation, "operationresults")})
        return web.Response(status=200)

    def _read(self, request: web.Request, service_id: str, version: str, *, keys: bool) -> web.Response:
        if request.method == "HEAD":
            # What check_existence_by_id of Microsoft's client expects; whether the provider had it is unknown [I].
            self._found(service_id)
            return web.Response(status=204)
        if keys:
            return web.json_response(self._found(service_id).keys)
        return self._get(request, service_id, version)

    def _find(self, service_id: str) -> WebService | None:
        document = self._services.get(service_id.lower())
        return None if document is None else WebService.from_document(document)

    def _found(self, service_id: str) -> WebService:
        service = self._find(service_id)
        if service is None:
            raise web_service_not_found(service_id.rpartition("/")[2])
        return service

    def _get(self, request: web.Request, service_id: str, version: str) -> web.Response:
        service, properties = self._found(service_id), None
        given = request.query.get("region") if has_regions(version) else None
        region = region_code(given or service.location)
        abroad = region != region_code(service.location)
        if abroad and region not in service.regions:
            raise per_region_payload_not_found(given or region)
        location = None
        if service.properties is not None:
            properties = shown_form(service.properties, version)
            if abroad:
                properties = for_region(properties, service.contents, region)
            blob = service.regions[region] if abroad else service.payload_blob
            # The older contract cannot say where a payload lies, so it shows one of any size [I].
            if blob is not None and has_payload_members(version):
                account = properties["storageAccount"]["name"]
                location = self._payloads.location(account, blob, self._execution_url(request))
        shown = replace(service, properties=properties)
        view = full_view(shown, self._execution_url(request), version, location)
        return web.json_response(worded(view, self._behaviour))

    def _execution_url(self, request: web.Request) -> str:
        """Return where services execute and blobs lie: other hosts in Azure, here the port without TLS."""
        return self._context.server_url if request.scheme == "https" else base_url(request)

    # -- writes --------------------------------------------------------------------------------------------------------

    async def _put(self, request: web.Request, service_id: str, subscription: str, version: str) -> web.Response:
        body = await json_object(request)
        current = self._find(service_id)
        self._second_writes.check(current)
        base = None if current is None else self._second_writes.base(current, self._operations)
        plan = self._plans.plan_of(service_id)
        with self._refusing():
            envelopes = self._envelopes(body)
            proposal = propose_put(base, body, secrets.token_bytes, version=version, plan=plan, envelopes=envelopes)
        now = timestamp(self._context.clock())
        service = current or WebService(
            id=service_id,
            name=service_id.rpartition("/")[2],
            location=proposal.location,
            tags=proposal.tags,
            subscription=subscription.lower(),
            service=self._context.new_id(),
            created_on=now,
            modified_on=now,
        )
        operation = self._begin("put", service, proposal)
        view = accepted_view(replace(service, tags=proposal.tags), patch=False, version=version)
        return _accepted(request, operation, status=201 if current is None else 200, body=view)

    def _envelopes(self, body: Json) -> dict[str, str]:
        """Return what the envelopes in a copy of another service hold, opened by its own region's key [I]."""
        region, found = region_code(str(member(body, "location") or "")), dict[str, str]()
        if ENVELOPE_START not in json.dumps(body):
            return found
        for document in self._services.values():
            service = WebService.from_document(document)
            own = region_code(service.location)
            if region in (own, *service.regions):
                found |= contents_of_a_copy(service.contents, own, region)
        return found

    async def _patch(self, request: web.Request, service_id: str, version: str) -> web.Response:
        body = await json_object(request)
        current = self._found(service_id)
        self._second_writes.check(current)
        base = self._second_writes.base(current, self._operations)
        base = replace(base, properties=properties_to_merge(base.properties, body, self._behaviour))
        body = tags_to_write(base.tags, body, self._behaviour)
        plan = self._plans.plan_of(service_id)
        with self._refusing():
            proposal = propose_patch(base, body, self._behaviour.patch_assets, version=version, plan=plan)
        operation = self._begin("patch", current, proposal)
        view = accepted_view(replace(current, tags=proposal.tags), patch=True, version=version)
        return _accepted(request, operation, status=200, body=view)

    def _delete(self, request: web.Request, service_id: str) -> web.Response:
        current = self._find(service_id)
        if current is None:
            # Recorded: at once, though the specification wants an operation here as well.
            return web.Response(status=204)
        self._second_writes.check(current)
        operation = self._begin("delete", current, None)
        response = _accepted(request, operation, status=202, body=None)
        response.headers["Location"] = _poll_url(request, operation, "operationresults")
        return response

    def _prepare_region(self, request: web.Request, service_id: str) -> web.Response:
        current = self._found(service_id)
        given = request.query.get("region", "")
        if region_code(given) not in map(region_code, REGIONS):
            raise bad_request("InvalidRegion", f"The region '{given}' is not one of the provider.")
        self._second_writes.check(current)
        operation = self._begin("regional", current, None, region_code(given))
        return _accepted(request, operation, status=202, body=regional_view(current))

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Give the refusal of a write to a read-only service the configured status (new-protocol, "Not found")."""
        try:
            yield
        except ArmError as error:
            if "WebServiceIsReadOnly" in error.codes and self._behaviour.read_only_refusal == 409:
                raise replace(error, status=409, code="Conflict") from error
            raise

    def _begin(
        self, action: Action, service: WebService, proposal: Proposal | None, region: str | None = None
    ) -> Operation:
        seconds = self._context.studio.timings.provisioning.total_seconds()
        operation = Operation(
            id=str(uuid.UUID(self._context.new_id())),
            action=action,
            resource=service.id.lower(),
            subscription=service.subscription,
            location=region_code(service.location),
            seconds=seconds * _SHARE_OF_TIME[action],
            start_time=timestamp(self._context.clock()),
            proposal=None if proposal is None else as_json(proposal),
            region=region,
        )
        self._second_writes.waits(operation, service)
        marked = replace(service, state="Provisioning", operation=operation.id)
        associate = self._association(service, proposal)

        def mark() -> None:
            self._services[operation.resource] = marked.to_document()
            associate()

        self._operations.begin(operation, mark)
        return operation

    def _association(self, service: WebService, proposal: Proposal | None) -> Callable[[], None]:
        """Give the service the commitment plan that a write names; the plan is checked now.

        That it has the plan from the first reply on, whether or not the operation succeeds, is inferred [I].
        """
        if proposal is None or proposal.commitment_plan is None:
            return lambda: None
        plan = self._plans.check_usable(proposal.commitment_plan, service.location)
        return lambda: self._plans.associate(service, plan)


def _poll_url(request: web.Request, operation: Operation, kind: str) -> str:
    path = operation.path("operationsStatus" if kind == "operationsStatus" else "operationresults")
    return f"{base_url(request)}{path}?api-version={request.query['api-version']}"


def _accepted(request: web.Request, operation: Operation, *, status: int, body: Json | None) -> web.Response:
    """Return the tiny answer to a write: no Retry-After, and no Location but after a DELETE [O]."""
    headers = {
        "Azure-AsyncOperation": _poll_url(request, operation, "operationsStatus"),
        "Azure-AsyncOperationPercentComplete": "0",
    }
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.json_response(dict(body), status=status, headers=headers)
