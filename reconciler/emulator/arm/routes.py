"""Azure Resource Manager: resource groups, and the web services and commitment plans of Microsoft.MachineLearning.

`reconciler.emulator.arm.web_services` documents what is kept of a service. A request is checked in ARM's own order: who
asks, how often, the subscription, the resource group, the provider and its type, the ``api-version``, and only then
what it wants. Path segments are case-insensitive, as everywhere in ARM.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from aiohttp import web

from reconciler.emulator.arm import provider_metadata, resource_groups, roles
from reconciler.emulator.arm.authorization import Authorization
from reconciler.emulator.arm.commitment_plans import CommitmentPlans
from reconciler.emulator.arm.commitment_routes import CommitmentRequests
from reconciler.emulator.arm.commitment_tiers import catalogue
from reconciler.emulator.arm.concurrent_writes import SecondWrites
from reconciler.emulator.arm.errors import (
    invalid_namespace,
    invalid_type,
    missing_api_version,
    no_such_operation,
    unsupported_api_version,
)
from reconciler.emulator.arm.exchange import Note, answer, json_object
from reconciler.emulator.arm.exposure import NewExecution
from reconciler.emulator.arm.model_source import fetcher
from reconciler.emulator.arm.operations import Conclusion, Operation, Operations
from reconciler.emulator.arm.payload_blobs import PayloadBlobs
from reconciler.emulator.arm.provider_metadata import PROVIDER, RESOURCE_TYPES
from reconciler.emulator.arm.provisioning import Provisioning
from reconciler.emulator.arm.rate_limits import RateLimits
from reconciler.emulator.arm.resource_groups import ResourceGroups
from reconciler.emulator.arm.resource_index import ResourceIndex
from reconciler.emulator.arm.seed import seed_services
from reconciler.emulator.arm.web_service_routes import WebServiceRequests
from reconciler.emulator.arm.web_services import WebService
from reconciler.emulator.config.principals import Principal
from reconciler.emulator.config.regions import REGIONS
from reconciler.emulator.context import Context

_PERMISSIONS_VERSIONS = ("2022-04-01", "2018-07-01", "2018-01-01-preview", "2015-07-01")


class ResourceManager:
    """Azure Resource Manager of one emulator."""

    def __init__(self, context: Context) -> None:
        self._context = context
        behaviour, limits = context.studio.behaviour, context.studio.limits
        self._authorization = Authorization(context)
        self._rates = RateLimits(limits.request_rates, context.clock)
        self._groups = ResourceGroups(context.documents)
        self._plans = CommitmentPlans(context.documents, context.clock, context.new_id, limits.associations_per_plan)
        self._execution = NewExecution(context)
        payloads = PayloadBlobs(context)
        self._provisioning = Provisioning(
            context.documents,
            context.clock,
            random_bytes=secrets.token_bytes,
            fetch_model=fetcher(context),
            payloads=payloads,
            inline_payload_bytes=limits.inline_payload_bytes,
            patch_assets=behaviour.patch_assets,
            is_key_of=payloads.is_key_of,
            expose=self._execution.expose,
            withdraw=self._withdraw,
        )
        self._second_writes = SecondWrites(context.documents, behaviour)
        self._operations = Operations(context.documents, context.clock, self._work)
        self._services = WebServiceRequests(context, self._operations, payloads, self._plans, self._second_writes)
        self._commitments = CommitmentRequests(self._plans, behaviour.list_page_size)
        self._index = ResourceIndex(context.documents, behaviour.list_page_size)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the tenant, and of subscriptions, whose id is a GUID with dashes.

        Paths below a subscription are matched here, not by the router, because their segments have no casing.
        """

        async def handle(request: web.Request) -> web.Response:
            return await answer(request, self._handle, self._context.clock)

        # Without a dash it is a path of an execution service: /subscriptions/{32 hex digits}/services/...
        return [
            web.get("/subscriptions", handle),
            web.route("*", r"/providers/{tenant_rest:.+}", handle),
            web.route("*", r"/subscriptions/{subscription:[^/]*-[^/]*}{rest:(/.*)?}", handle),
        ]

    async def seed(self) -> None:
        """Make what the studio file names, at the first start, and resume what an earlier process left unfinished.

        The accounts' blobs must be reachable at ``context.server_url``, and hold the initial models.
        """
        await seed_services(self._context, self._groups, self._plans, self._provisioning)
        self._operations.resume()

    async def close(self) -> None:
        """Stop the operations; the next start resumes unfinished ones. Call this method before the workers end."""
        await self._operations.close()

    async def _work(self, operation: Operation) -> Conclusion:
        await self._second_writes.turn(operation, self._operations)
        return await self._provisioning.work(operation)

    def _withdraw(self, service: WebService) -> None:
        self._execution.withdraw(service)
        self._plans.dissociate(service)

    async def _handle(self, request: web.Request, note: Note) -> web.Response:
        principal = self._authorization.principal_of(request.headers.get("Authorization"))
        subscription = request.match_info.get("subscription")
        note.remaining = self._rates.spend(request.method, subscription and subscription.lower(), principal.client_id)
        if subscription is None:
            return self._tenant(request, note, principal)
        self._groups.check_subscription(subscription)
        roles.authorize(principal, request.method, request.path)
        segments = [segment for segment in request.match_info["rest"].split("/") if segment]
        match [segment.lower() for segment in segments]:
            case [] | ["resourcegroups"] | ["resourcegroups", _]:
                note.native = True
                _check_version(request, "resourceGroups", resource_groups.VERSIONS)
                return await self._group(request, subscription, segments[1:], is_group=bool(segments))
            case ["resources"] | ["resourcegroups", _, "resources"] if request.method == "GET":
                note.native = True
                return self._resources(request, subscription, segments[1:2])
            case ["resourcegroups", group, *_, "providers", "microsoft.authorization", "permissions"]:
                note.native = True
                self._groups.check_group(subscription, group)
                return _permissions(request, principal, f"/subscriptions/{subscription}/" + "/".join(segments[:-3]))
            case ["resourcegroups", group, "providers", namespace, *rest]:
                self._groups.check_group(subscription, group)
                group, namespace = segments[1], segments[3]
                kind = _check_type(request, namespace, rest[:1], ("webservices", "commitmentplans"))
                base = f"/subscriptions/{subscription}/resourceGroups/{group}/"
                return await self._in_group(request, subscription, base, kind, segments[5:])
            case ["providers", *_]:
                return self._provider(request, note, subscription, segments[1:])
        raise no_such_operation(request)

    def _tenant(self, request: web.Request, note: Note, principal: Principal) -> web.Response:
        """Answer a request that is not about a subscription."""
        names = [name for name in request.match_info.get("tenant_rest", "").split("/") if name]
        if request.method != "GET" or len(names) not in (0, 2):
            raise no_such_operation(request)
        if not names:
            note.native = True
            _check_version(request, "subscriptions", resource_groups.VERSIONS)
            seen = [each for each in self._groups.subscriptions() if roles.sees(principal, each["id"])]
            return web.json_response({"value": seen})
        _check_type(request, names[0], [names[1].lower()], ("operations",))
        return web.json_response(provider_metadata.operations())

    def _provider(self, request: web.Request, note: Note, subscription: str, names: Sequence[str]) -> web.Response:
        """Answer a request for a subscription's resources of a provider, in all resource groups."""
        match request.method, [name.lower() for name in names]:
            case ("GET", [] | [_]) | ("POST", [_, "register"]):
                note.native = True
                if names:
                    _check_namespace(names[0])
                _check_version(request, "providers", resource_groups.VERSIONS)
                provider = provider_metadata.description(subscription.lower())
                return web.json_response(provider if names else {"value": [provider]})
            case _, [_, "locations", _, "operationsstatus" | "operationresults" as kind, operation]:
                _check_type(request, names[0], ["locations"], ("locations",))
                return self._services.poll(request, kind, operation)
            case method, [_, *rest]:
                listed = _check_type(request, names[0], rest[:1], ("webservices", "commitmentplans", "skus"))
                if method == "GET" and len(rest) == 1:
                    if listed == "skus":
                        return web.json_response(catalogue(list(REGIONS)))
                    return self._list(request, listed, f"/subscriptions/{subscription}/")
        raise no_such_operation(request)

    def _list(self, request: web.Request, kind: str, prefix: str) -> web.Response:
        requests = self._services if kind == "webservices" else self._commitments
        return requests.list(request, prefix)

    def _resources(self, request: web.Request, subscription: str, group: Sequence[str]) -> web.Response:
        _check_version(request, "resources", resource_groups.VERSIONS)
        prefix = f"/subscriptions/{subscription}/"
        if group:
            self._groups.check_group(subscription, group[0])
            prefix += f"resourceGroups/{group[0]}/"
        return self._index.list(request, prefix)

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
            case "HEAD", [name]:
                self._groups.check_group(subscription, name)
                return web.Response(status=204)
            case "PUT", [name]:
                group, created = self._groups.put(subscription, name, await json_object(request))
                return web.json_response(group, status=201 if created else 200)
        raise no_such_operation(request)

    async def _in_group(
        self, request: web.Request, subscription: str, base: str, kind: str, names: Sequence[str]
    ) -> web.Response:
        """Answer a request for a resource group's resources of the provider.

        Args:
            request: its version has been checked.
            subscription: GUID.
            base: of resource ids, up to the group and a slash.
            kind: the type, in lower case.
            names: the segments that follow the type.
        """
        if not names:
            if request.method != "GET":
                raise no_such_operation(request)
            return self._list(request, kind, base)
        resource_id = f"{base}providers/{RESOURCE_TYPES[kind].full_name}/{names[0]}"
        if kind == "commitmentplans":
            return await self._commitments.handle(request, resource_id, names[1:])
        below = [name.lower() for name in names[1:]]
        return await self._services.handle(request, resource_id, below, subscription)


def _permissions(request: web.Request, principal: Principal, scope: str) -> web.Response:
    """Return what the caller may do on a scope (`Permissions - List For Resource Group`, `- List For Resource`)."""
    _check_version(request, "permissions", _PERMISSIONS_VERSIONS)
    if request.method != "GET":
        raise no_such_operation(request)
    return web.json_response({"value": roles.permissions(principal, scope)})


def _check_namespace(namespace: str) -> None:
    if namespace.lower() != PROVIDER.lower():
        raise invalid_namespace(namespace)


def _check_type(request: web.Request, namespace: str, given: Sequence[str], possible: Sequence[str]) -> str:
    """Check the provider and its type in the path, and then the version, which depends on the type.

    Args:
        request: has the version.
        namespace: of the provider, as it is in the path.
        given: the type in lower case, or nothing.
        possible: the types that can stand at this place, in lower case.

    Returns:
        The type, in lower case.
    """
    _check_namespace(namespace)
    kind = "".join(given)
    if kind not in possible:
        raise invalid_type(PROVIDER, kind, request.query.get("api-version", ""))
    known = RESOURCE_TYPES[kind]
    _check_version(request, known.full_name, known.versions)
    return kind


def _check_version(request: web.Request, resource_type: str, supported: Sequence[str]) -> None:
    version = request.query.get("api-version")
    if not version:
        raise missing_api_version()
    if version not in supported:
        raise unsupported_api_version(version, resource_type, supported)
