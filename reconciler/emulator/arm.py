"""Azure Resource Manager: resource groups and the New web services of Microsoft.MachineLearning.

`reconciler.emulator.web_services` documents what is kept of a service. A request is checked in ARM's own order: who
asks, the subscription, the resource group, the provider and its type, the ``api-version``, and only then what it
wants. Path segments are case-insensitive, as everywhere in ARM.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from aiohttp import web

from reconciler.emulator import arm_errors, resource_groups, roles, web_services
from reconciler.emulator.arm_errors import ArmError
from reconciler.emulator.arm_exchange import Allowance, answer, json_object
from reconciler.emulator.context import Context
from reconciler.emulator.definition_seed import seed_services
from reconciler.emulator.documents import Documents
from reconciler.emulator.model_source import fetcher
from reconciler.emulator.new_execution import NewExecution
from reconciler.emulator.operations import Action, Operation, Operations
from reconciler.emulator.provisioning import (
    Proposal,
    Provisioning,
    as_json,
    propose_patch,
    propose_put,
    region_code,
)
from reconciler.emulator.resource_groups import ResourceGroups
from reconciler.emulator.sign_in import SignIn
from reconciler.emulator.web_services import WebService, accepted_view, full_view, list_view, timestamp

PROVIDER = "Microsoft.MachineLearning"
WEB_SERVICE_VERSIONS = ("2017-01-01",)

Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(context: Context) -> list[web.RouteDef]:
    """Everything below ``/subscriptions/{id}`` where the id is a GUID with its dashes."""
    return _of(context).routes()


async def seed(context: Context) -> None:
    """Makes what the studio file names, at the first start, and takes up what an earlier process left unfinished.

    The accounts' blobs must be reachable at ``context.server_url``, and hold the initial models.
    """
    await _of(context).seed()


async def close(context: Context) -> None:
    """Stops the operations; what is unfinished is taken up at the next start. Call it before the workers end."""
    await _of(context).close()


class ResourceManager:
    """Azure Resource Manager of one Studio."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._behaviour = context.studio.behaviour
        self._sign_in = SignIn.of(context)
        self._allowance = Allowance(context.clock)
        self._services = context.documents.collection(web_services.COLLECTION)
        execution = NewExecution(context)
        self._groups = ResourceGroups(context.documents)
        self._provisioning = Provisioning(
            context.documents,
            context.clock,
            random_bytes=secrets.token_bytes,
            fetch_model=fetcher(context),
            expose=execution.expose,
            withdraw=execution.withdraw,
        )
        self._operations = Operations(context.documents, context.clock, self._provisioning.work)

    def routes(self) -> list[web.RouteDef]:
        """The routes; each path below a subscription is told apart here, as its segments have no casing."""

        async def handle(request: web.Request) -> web.Response:
            return await answer(request, self._handle, self._allowance, self._context.clock)

        # Without a dash it is a path of an execution service: /subscriptions/{32 hex digits}/services/...
        return [
            web.get("/subscriptions", handle),
            web.route("*", r"/subscriptions/{subscription:[^/]*-[^/]*}{rest:(/.*)?}", handle),
        ]

    async def seed(self) -> None:
        """See the function `seed`."""
        await seed_services(self._context, self._groups, self._provisioning)
        self._operations.resume()

    async def close(self) -> None:
        """See the function `close`."""
        await self._operations.close()

    async def _handle(self, request: web.Request) -> web.Response:
        principal = self._sign_in.check(request.headers.get("Authorization"))
        if "subscription" not in request.match_info:
            _check_version(request, "subscriptions", resource_groups.VERSIONS)
            seen = [each for each in self._groups.subscriptions() if roles.sees(principal, each["id"])]
            return web.json_response({"value": seen})
        subscription = request.match_info["subscription"]
        self._groups.check_subscription(subscription)
        roles.authorize(principal, request.method, request.path)
        segments = [segment for segment in request.match_info["rest"].split("/") if segment]
        match [segment.lower() for segment in segments]:
            case [] | ["resourcegroups"] | ["resourcegroups", _]:
                _check_version(request, "resourceGroups", resource_groups.VERSIONS)
                return await self._group(request, subscription, segments[1:], is_group=bool(segments))
            case ["resourcegroups", group, "providers", namespace, *rest]:
                self._groups.check_group(subscription, group)
                group, namespace = segments[1], segments[3]
                _check_type(request, namespace, rest[:1], "webServices")
                return await self._in_group(request, subscription, group, segments[5:])
            case ["providers", namespace, "locations", _, "operationsstatus" | "operationresults" as kind, operation]:
                _check_type(request, namespace, ["locations"], "locations")
                return self._poll(request, kind, operation)
            case ["providers", _, *rest]:
                _check_type(request, segments[1], rest[:1], "webServices")
                if len(rest) == 1 and request.method == "GET":
                    return self._list(request, f"/subscriptions/{subscription}/")
        raise _no_such_operation(request)

    async def _group(
        self, request: web.Request, subscription: str, names: Sequence[str], *, is_group: bool
    ) -> web.Response:
        match request.method, names:
            case "GET", []:
                body = (
                    {"value": self._groups.list(subscription)} if is_group else self._groups.subscription(subscription)
                )
                return web.json_response(body)
            case "GET", [name]:
                return web.json_response(self._groups.get(subscription, name))
            case "PUT", [name]:
                group, created = self._groups.put(subscription, name, await json_object(request))
                return web.json_response(group, status=201 if created else 200)
        raise _no_such_operation(request)

    async def _in_group(
        self, request: web.Request, subscription: str, group: str, names: Sequence[str]
    ) -> web.Response:
        base = f"/subscriptions/{subscription}/resourceGroups/{group}/"
        if not names:
            if request.method != "GET":
                raise _no_such_operation(request)
            return self._list(request, base)
        service_id = f"{base}providers/{web_services.RESOURCE_TYPE}/{names[0]}"
        match request.method, [name.lower() for name in names[1:]]:
            case "GET", []:
                return self._get(request, service_id)
            case "GET", ["listkeys"]:
                return web.json_response(self._found(service_id).keys)
            case "PUT", []:
                return await self._put(request, service_id, subscription)
            case "PATCH", []:
                return await self._patch(request, service_id)
            case "DELETE", []:
                return self._delete(request, service_id)
        raise _no_such_operation(request)

    # -- reads ---------------------------------------------------------------------------------------------------------

    def _find(self, service_id: str) -> WebService | None:
        document = self._services.get(service_id.lower())
        return None if document is None else WebService.from_document(document)

    def _found(self, service_id: str) -> WebService:
        service = self._find(service_id)
        if service is None:
            raise arm_errors.web_service_not_found(service_id.rpartition("/")[2])
        return service

    def _get(self, request: web.Request, service_id: str) -> web.Response:
        service = self._found(service_id)
        if region := request.query.get("region"):
            raise arm_errors.per_region_payload_not_found(region)
        return web.json_response(full_view(service, self._execution_url(request)))

    def _list(self, request: web.Request, prefix: str) -> web.Response:
        wanted, base_url = prefix.lower(), self._execution_url(request)
        services = [
            WebService.from_document(document) for key, document in self._services.items() if key.startswith(wanted)
        ]
        return web.json_response({"value": [list_view(service, base_url) for service in services]})

    def _execution_url(self, request: web.Request) -> str:
        """Where services execute: another host than this one's in Azure, and here the one without TLS."""
        return self._context.server_url if request.scheme == "https" else _base_url(request)

    def _poll(self, request: web.Request, kind: str, operation_id: str) -> web.Response:
        operation = self._operations.find(operation_id)
        if operation is None or request.method != "GET":
            raise arm_errors.operation_not_found(operation_id)
        if kind == "operationsstatus":
            return web.json_response(operation.poll_body(self._context.clock()))
        if operation.end_time is None:
            return web.Response(status=202, headers={"Location": _poll_url(request, operation, "operationresults")})
        return web.Response(status=200)

    # -- writes --------------------------------------------------------------------------------------------------------

    async def _put(self, request: web.Request, service_id: str, subscription: str) -> web.Response:
        body = await json_object(request)
        current = self._find(service_id)
        self._check_idle(current)
        proposal = propose_put(current, body, secrets.token_bytes)
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
        view = accepted_view(replace(service, tags=proposal.tags), patch=False)
        return _accepted(request, operation, status=201 if current is None else 200, body=view)

    async def _patch(self, request: web.Request, service_id: str) -> web.Response:
        body = await json_object(request)
        current = self._found(service_id)
        self._check_idle(current)
        proposal = propose_patch(current, body, self._behaviour.patch_assets)
        operation = self._begin("patch", current, proposal)
        view = accepted_view(replace(current, tags=proposal.tags), patch=True)
        return _accepted(request, operation, status=200, body=view)

    def _delete(self, request: web.Request, service_id: str) -> web.Response:
        current = self._find(service_id)
        if current is None:
            # Recorded: at once, though the specification wants an operation here as well.
            return web.Response(status=204)
        self._check_idle(current)
        operation = self._begin("delete", current, None)
        response = _accepted(request, operation, status=202, body=None)
        response.headers["Location"] = _poll_url(request, operation, "operationresults")
        return response

    def _check_idle(self, service: WebService | None) -> None:
        """Refuses a write while another is under way, unless the studio file lets it in: no source tells [I]."""
        if service is not None and service.operation and self._behaviour.write_while_provisioning == "conflict":
            raise arm_errors.conflict(
                "WebServiceProvisioning", f"The web service '{service.name}' is being provisioned. Try again later."
            )

    def _begin(self, action: Action, service: WebService, proposal: Proposal | None) -> Operation:
        seconds = self._context.studio.timings.provisioning.total_seconds()
        operation = Operation(
            id=str(uuid.UUID(self._context.new_id())),
            action=action,
            resource=service.id.lower(),
            subscription=service.subscription,
            location=region_code(service.location),
            # Recorded: a deletion takes a tenth to a fifth of the time of the other writes.
            seconds=seconds / 5 if action == "delete" else seconds,
            start_time=timestamp(self._context.clock()),
            proposal=None if proposal is None else as_json(proposal),
        )
        marked = replace(service, state="Provisioning", operation=operation.id)

        def mark() -> None:
            self._services[operation.resource] = marked.to_document()

        self._operations.begin(operation, mark)
        return operation


_managers: WeakKeyDictionary[Documents, ResourceManager] = WeakKeyDictionary()


def _of(context: Context) -> ResourceManager:
    # One for all three functions, as its tasks are its own; the documents tell one Studio from another.
    manager = _managers.get(context.documents)
    if manager is None:
        manager = _managers[context.documents] = ResourceManager(context)
    return manager


def _check_type(request: web.Request, namespace: str, given: Sequence[str], known: str) -> None:
    """Checks the provider and its type in the path, and then the version, which depends on the type."""
    if namespace.lower() != PROVIDER.lower():
        raise arm_errors.invalid_namespace(namespace)
    if list(given) != [known.lower()]:
        raise arm_errors.invalid_type(PROVIDER, "".join(given), request.query.get("api-version", ""))
    _check_version(request, f"{PROVIDER}/{known}", WEB_SERVICE_VERSIONS)


def _check_version(request: web.Request, resource_type: str, supported: Sequence[str]) -> None:
    version = request.query.get("api-version")
    if not version:
        raise arm_errors.missing_api_version()
    if version not in supported:
        raise arm_errors.unsupported_api_version(version, resource_type, supported)


def _no_such_operation(request: web.Request) -> ArmError:
    message = f"No operation {request.method} is known at '{request.path}'."
    return ArmError(405 if request.method not in ("GET", "HEAD") else 404, "InvalidResourceOperation", message)


def _base_url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _poll_url(request: web.Request, operation: Operation, kind: str) -> str:
    path = operation.path("operationsStatus" if kind == "operationsStatus" else "operationresults")
    return f"{_base_url(request)}{path}?api-version={WEB_SERVICE_VERSIONS[0]}"


def _accepted(
    request: web.Request, operation: Operation, *, status: int, body: Mapping[str, object] | None
) -> web.Response:
    """The tiny answer to a write: no Retry-After, and no Location but after a DELETE [O]."""
    headers = {
        "Azure-AsyncOperation": _poll_url(request, operation, "operationsStatus"),
        "Azure-AsyncOperationPercentComplete": "0",
    }
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.json_response(dict(body), status=status, headers=headers)
