"""The Classic management API: web services and their endpoints (classic-protocol 1)."""

import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from aiohttp import web

from reconciler.emulator.classic.code_services import CodeServices
from reconciler.emulator.classic.endpoint_rules import EndpointRules, ResourceUpdate, check_may_change
from reconciler.emulator.classic.refresh import Refreshing
from reconciler.emulator.classic.services import DEFAULT_ENDPOINT, ClassicServices
from reconciler.emulator.config.regions import region_code
from reconciler.emulator.config.studio_file import Workspace
from reconciler.emulator.context import Context
from reconciler.emulator.documents import Document
from reconciler.emulator.execution.errors import (
    ServiceError,
    bearer,
    management_not_found,
    management_unauthorized,
    origin,
    refused,
)
from reconciler.emulator.execution.model_copies import ModelRefused
from reconciler.emulator.execution.services import BoundModel
from reconciler.emulator.execution.wire_format import listing
from reconciler.emulator.storage.client import BlobReference

REGION_ROUTE = "/regions/{region}"
"""Below it only the workspaces of one region are known, as on that region's management host (classic-protocol 1.1)."""
_WORKSPACE_ID = re.compile(r"[0-9a-fA-F]{32}")


class Management:
    """The operations, one method each."""

    def __init__(self, context: Context, classic: ClassicServices) -> None:
        self._context = context
        self._classic = classic
        self._behaviour = context.studio.behaviour
        self._refreshing = Refreshing(context, classic)
        self._code = CodeServices(context, classic)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the management host, which answers for all regions, and those of each region's own."""
        return [route for host in ("", REGION_ROUTE) for route in self._routes(host)]

    def _routes(self, host: str) -> list[web.RouteDef]:
        services = host + "/workspaces/{workspace}/webservices"
        endpoints = services + "/{service}/endpoints"
        return [
            web.get(services, self.list_services),
            # One client lists with a slash at the end (classic-protocol 1.3).
            web.get(services + "/", self.list_services),
            web.get(services + "/{service}", self.get_service),
            web.put(services + "/{service}", self.put_service),
            web.delete(services + "/{service}", self.delete_service),
            web.get(endpoints, self.list_endpoints),
            web.get(endpoints + "/", self.list_endpoints),
            web.get(endpoints + "/{endpoint}", self.get_endpoint),
            web.put(endpoints + "/{endpoint}", self.put_endpoint),
            web.patch(endpoints + "/{endpoint}", self.patch_endpoint),
            web.post(endpoints + "/{endpoint}/refresh", self.refresh_endpoint),
            web.delete(endpoints + "/{endpoint}", self.delete_endpoint),
        ]

    async def list_services(self, request: web.Request) -> web.Response:
        """GET …/webservices: an array, or 204 when there is none."""
        workspace = self._workspace(request)
        services = self._classic.services(workspace.id)
        shown = [self._classic.service_on_wire(workspace, services[key]) for key in services]
        return listing(shown, self._behaviour)

    async def get_service(self, request: web.Request) -> web.Response:
        """GET …/webservices/S."""
        workspace = self._workspace(request)
        return web.json_response(self._classic.service_on_wire(workspace, self._service(request, workspace)))

    async def put_service(self, request: web.Request) -> web.Response:
        """PUT …/webservices/S publishes code as a service, or updates one (classic-protocol 1.3)."""
        workspace = self._workspace(request)
        service, is_new = self._code.publish(workspace, request.match_info["service"], await _body(request))
        return web.json_response(
            self._classic.service_on_wire(workspace, service),
            status=self._behaviour.create_status if is_new else 200,
        )

    async def delete_service(self, request: web.Request) -> web.Response:
        """DELETE …/webservices/S, with all its endpoints."""
        workspace = self._workspace(request)
        with self._context.documents.transaction():
            self._classic.remove_service(workspace, self._service(request, workspace))
            self._code.prune()
        return web.Response(status=self._behaviour.delete_status)

    async def list_endpoints(self, request: web.Request) -> web.Response:
        """GET …/endpoints: all of them in one array (there is no paging), or 204 when there is none."""
        workspace = self._workspace(request)
        service = self._service(request, workspace)
        shown = self._behaviour.show_resources_in_list
        endpoints = self._classic.endpoints(service["Id"])
        here = origin(request)
        return listing(
            [
                self._classic.endpoint_on_wire(workspace, service, endpoints[name], here, resources=shown)
                for name in endpoints
            ],
            self._behaviour,
        )

    async def get_endpoint(self, request: web.Request) -> web.Response:
        """GET …/endpoints/E: the object with its resources' names."""
        workspace = self._workspace(request, endpoint_key=True)  # which every setting of endpointKey allows
        service = self._service(request, workspace)
        endpoint = self._classic.endpoints(service["Id"]).get(request.match_info["endpoint"])
        if endpoint is None:
            return self._absent(request.match_info["endpoint"])
        return web.json_response(
            self._classic.endpoint_on_wire(workspace, service, endpoint, origin(request), resources=True)
        )

    async def put_endpoint(self, request: web.Request) -> web.Response:
        """PUT …/endpoints/E: makes an endpoint that scores with what ``default`` scores with."""
        workspace = self._workspace(request, endpoint_key=self._behaviour.endpoint_key == "all")
        service = self._service(request, workspace)
        name = request.match_info["endpoint"]
        rules = self._rules(workspace)
        body = await _body(request)
        rules.check_name(name)
        settings = rules.settings(body)
        # Nothing is awaited from here on: another request cannot make the same endpoint in between.
        endpoints = self._classic.endpoints(service["Id"])
        existing = endpoints.get(name)
        if existing is None:
            rules.check_count(len(endpoints))
            status = self._behaviour.create_status
            endpoint = self._create(workspace, service, name, settings)
        else:
            if self._behaviour.put_existing == "conflict":
                raise ServiceError(409, "Conflict", f"Resource already exists: endpoint {name!r}.")
            if self._behaviour.put_existing == "refused":
                raise refused("BadArgument", f"The endpoint {name!r} exists already.")
            if name == DEFAULT_ENDPOINT:
                raise refused("InvalidOperation", "The default endpoint cannot be changed.")
            status = 200
            endpoint = {**existing, **settings}
            self._classic.store_endpoint(workspace, service, endpoint)
        return web.json_response(
            self._classic.endpoint_on_wire(workspace, service, endpoint, origin(request), resources=True),
            status=status,
        )

    async def patch_endpoint(self, request: web.Request) -> web.Response:
        """PATCH …/endpoints/E: another trained model, a description, limits.

        Each blob is fetched and tried before anything is changed, so a patch is done as a whole or not at all.
        """
        workspace = self._workspace(request, endpoint_key=self._behaviour.endpoint_key != "getOnly")
        service = self._service(request, workspace)
        name = request.match_info["endpoint"]
        if name not in self._classic.endpoints(service["Id"]):
            raise _no_endpoint(name)
        rules = self._rules(workspace)
        patch = rules.patch(await _body(request))
        if name == DEFAULT_ENDPOINT:
            raise refused("InvalidOperation", "The default endpoint is tied to its experiment; it cannot be patched.")
        self._check_patchable(self._classic.endpoints(service["Id"])[name])
        models = dict([await self._fetch(service, update) for update in patch.resources])
        # The endpoint may have been deleted or changed while the blobs were fetched.
        endpoint = self._classic.endpoints(service["Id"]).get(name)
        if endpoint is None:
            raise _no_endpoint(name)
        endpoint = self._classic.patched(endpoint, rules.patched(endpoint, patch), model=bool(models))
        self._apply(workspace, service, endpoint, models)
        if self._behaviour.patch_reply == "object":
            return web.json_response(
                self._classic.endpoint_on_wire(workspace, service, endpoint, origin(request), resources=True)
            )
        return web.Response(status=200 if self._behaviour.patch_reply == "empty" else 204)

    async def refresh_endpoint(self, request: web.Request) -> web.Response:
        """POST …/endpoints/E/refresh: 304 when nothing changed (classic-protocol 1.8)."""
        workspace = self._workspace(request, endpoint_key=self._behaviour.endpoint_key == "all")
        service = self._service(request, workspace)
        body = await _body(request)
        endpoint = self._classic.endpoints(service["Id"]).get(request.match_info["endpoint"])
        if endpoint is None:
            raise _no_endpoint(request.match_info["endpoint"])
        return web.Response(status=200 if self._refreshing.refresh(workspace, service, endpoint, body) else 304)

    async def delete_endpoint(self, request: web.Request) -> web.Response:
        """DELETE …/endpoints/E; ``default`` only when it is the last one (classic-protocol 1.9)."""
        workspace = self._workspace(request, endpoint_key=self._behaviour.endpoint_key == "all")
        service = self._service(request, workspace)
        name = request.match_info["endpoint"]
        endpoints = self._classic.endpoints(service["Id"])
        if name not in endpoints:
            if self._behaviour.delete_absent_endpoint == 204:
                return web.Response(status=204)
            raise _no_endpoint(name)
        if name == DEFAULT_ENDPOINT and len(endpoints) > 1:
            raise refused("UnauthorizedRequest", "Cannot delete default endpoint.")
        self._classic.remove_endpoint(workspace, service, name)
        return web.Response(status=self._behaviour.delete_status)

    def _rules(self, workspace: Workspace) -> EndpointRules:
        return EndpointRules(self._context.studio.limits, workspace.tier, self._behaviour)

    def _check_patchable(self, endpoint: Document) -> None:
        check_may_change(endpoint, self._behaviour)
        if self._behaviour.patch_after_create == "notYet":
            age = self._context.clock() - datetime.fromisoformat(endpoint["CreationTime"])
            if age < self._context.studio.timings.patch_takes_effect:
                raise ServiceError(
                    500, "UpdateWebServiceResourceFailed", f"The endpoint {endpoint['Name']!r} is not ready yet."
                )

    def _workspace(self, request: web.Request, *, endpoint_key: bool = False) -> Workspace:
        """Return the workspace of a request that is allowed to see it.

        Args:
            request: its path names a workspace.
            endpoint_key: whether a key of the endpoint in the path does as well as the workspace's token
                (classic-protocol 1.2: GET of one endpoint, and PATCH).
        """
        given = request.match_info["workspace"]
        if not _WORKSPACE_ID.fullmatch(given):
            raise refused("InvalidWorkspaceId", "The workspace id in the URL is not 32 hexadecimal digits.")
        token = bearer(request)
        if token is None:
            raise management_unauthorized()
        if self._behaviour.management_api_version == "refused" and "api-version" in request.query:
            raise refused("InvalidQueryParameter", "The management API has no api-version.")
        workspace = self._context.studio.workspace(given.lower())
        region = request.match_info.get("region")
        if workspace is None or (region is not None and region.lower() != region_code(workspace.region)):
            if self._behaviour.unknown_workspace == "getWorkspaceFailed":
                raise ServiceError(500, "GetWorkspaceFailed", f"The workspace {given} could not be read.")
            raise management_not_found("WorkspaceNotFound", f"There is no workspace {given} in this region.")
        if self._context.secrets.matches(self._context.secrets.workspace_token(workspace.id), token):
            return workspace
        if endpoint_key and self._is_key_of_endpoint(request, workspace, token):
            return workspace
        raise management_unauthorized()

    def _is_key_of_endpoint(self, request: web.Request, workspace: Workspace, token: str) -> bool:
        service_id = request.match_info["service"].replace("-", "").lower()
        if service_id not in self._classic.services(workspace.id):
            return False
        endpoint = self._classic.endpoints(service_id).get(request.match_info["endpoint"])
        if endpoint is None:
            return False
        service = self._context.execution.find(self._classic.path_of(workspace.id, endpoint))
        return service is not None and service.accepts(token)

    def _service(self, request: web.Request, workspace: Workspace) -> Document:
        given = request.match_info["service"]
        service = self._classic.services(workspace.id).get(given.replace("-", "").lower())
        if service is None:
            raise management_not_found(
                "WebServiceNotFound", f"There is no web service {given!r} in workspace {workspace.id}."
            )
        return service

    def _absent(self, name: str) -> web.Response:
        match self._behaviour.absent_endpoint:
            case 204:
                return web.Response(status=204)
            case "null":
                return web.json_response(None)
        raise _no_endpoint(name)

    def _create(self, workspace: Workspace, service: Document, name: str, settings: Document) -> Document:
        with self._context.documents.transaction():
            endpoint = self._classic.add_endpoint(
                workspace,
                service,
                name,
                description=settings.get("Description", ""),
                throttle_level=settings["ThrottleLevel"],
                max_concurrent_calls=settings["MaxConcurrentCalls"],
            )
            endpoint |= settings
            self._classic.store_endpoint(workspace, service, endpoint)
        return endpoint

    async def _fetch(self, service: Document, update: ResourceUpdate) -> tuple[str, BoundModel]:
        """Return the name of the resource that an update is for, and its new model."""
        offered = self._classic.resources_of(service)
        if not offered:
            raise refused("InvalidOperation", "This Web Service has no updatable resources.")
        any_case = self._behaviour.resource_names == "anyCase"
        resource = next(
            (name for name in offered if name == update.name or (any_case and name.lower() == update.name.lower())),
            None,
        )
        if resource is None:
            known = ", ".join(map(repr, offered))
            raise refused("InvalidOperation", f"There is no updatable resource {update.name!r}; there is {known}.")
        reference = BlobReference(
            relative_location=update.relative_location,
            base_location=update.base_location,
            sas_blob_token=update.sas_blob_token,
        )
        try:
            bound = await self._context.models.fetch(self._context.blobs, self._context.workers, reference)
        except ModelRefused as error:
            raise refused(error.code, f"The URL of the trained model is invalid: {error.message}") from error
        kept = update.sas_blob_token if self._behaviour.patched_model == "readAtEachLoad" else None
        return resource, replace(bound, sas_blob_token=kept, copy_id=self._context.new_id())

    def _apply(
        self, workspace: Workspace, service: Document, endpoint: Document, models: dict[str, BoundModel]
    ) -> None:
        path = self._classic.path_of(workspace.id, endpoint)
        delay = self._context.studio.timings.patch_takes_effect
        with self._context.documents.transaction():
            self._classic.store_endpoint(workspace, service, endpoint)
            if models and self._behaviour.patched_resources == "replaced":
                # What a PATCH leaves out goes back to the experiment's own model.
                models = {**self._classic.initial_models(service), **models}
            for resource, model in models.items():
                self._context.execution.bind(path, resource, model, takes_effect_in=delay)


def _no_endpoint(name: str) -> ServiceError:
    return management_not_found("NotFound", f"There is no endpoint {name!r}.")


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise refused("RequestBodyInvalid", f"The request's body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise refused("RequestBodyInvalid", "The request's body is not a JSON object.")
    return body
