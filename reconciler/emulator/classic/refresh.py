"""Refresh of a Classic endpoint, republish of its service, and its API document (classic-protocol 1.3, 1.8).

A refresh copies the graph of ``default`` to another endpoint. What a graph is here is the time at which the experiment
was published: ``default`` follows each republish, other endpoints keep the graph that they were made with. The Studio
API, where experiments are published, is not served; ``POST /_studio/republish/{workspace}/{service}`` stands for it.
"""

from typing import Any

from aiohttp import web

from reconciler.emulator.classic.endpoint_rules import check_may_change
from reconciler.emulator.classic.services import DEFAULT_ENDPOINT, ClassicServices, timestamp
from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.config.studio_file import Workspace
from reconciler.emulator.context import CONTROL_PREFIX, Context
from reconciler.emulator.documents import Document
from reconciler.emulator.execution.errors import management_not_found, refused
from reconciler.emulator.execution.scoring import Scoring
from reconciler.emulator.execution.services import ExecutionService
from reconciler.emulator.execution.wire_format import member


class Refreshing:
    """The return of an endpoint to its experiment."""

    def __init__(self, context: Context, classic: ClassicServices) -> None:
        self._context = context
        self._classic = classic

    def refresh(self, workspace: Workspace, service: Document, endpoint: Document, body: dict[str, Any]) -> bool:
        """Copy the graph of ``default``, and its trained model too if ``OverwriteResources``; False if equal already.

        With the trained model, it undoes a PATCH of it; without, the endpoint keeps what it was patched to.

        Raises:
            ServiceError: 400.
        """
        overwrite = overwrite_resources(body, self._context.studio.behaviour)
        if endpoint["Name"] == DEFAULT_ENDPOINT:
            raise refused("InvalidOperation", "The default endpoint follows its experiment; it cannot be refreshed.")
        check_may_change(endpoint, self._context.studio.behaviour)
        graph = self._classic.graph_of(service)
        path = self._classic.path_of(workspace.id, endpoint)
        replaced = {
            resource: model
            for resource, model in self._classic.initial_models(service).items()
            if overwrite and self._context.execution.latest_model(path, resource) != model
        }
        if not replaced and self._classic.version_of(service, endpoint) == graph:
            return False
        with self._context.documents.transaction():
            refreshed = {name: value for name, value in endpoint.items() if name != "PatchedAt" or not replaced}
            self._classic.store_endpoint(workspace, service, {**refreshed, "Version": graph})
            if service["Experiment"] is None:
                self._classic.rebind_code(workspace, service, endpoint)
            delay = self._context.studio.timings.patch_takes_effect
            for resource, model in replaced.items():
                self._context.execution.bind(path, resource, model, takes_effect_in=delay)
        return True


def overwrite_resources(body: dict[str, Any], behaviour: Behaviour) -> bool:
    """Return ``OverwriteResources``, which clients send as a string or as a boolean (classic-protocol 8).

    Raises:
        ServiceError: 400, it is neither, or not in the form that this emulator takes.
    """
    value = member(body, "OverwriteResources")
    if value is None:
        return False
    if isinstance(value, bool) and behaviour.overwrite_resources != "string":
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"} and behaviour.overwrite_resources != "boolean":
        return value.lower() == "true"
    raise refused("BadArgument", f"OverwriteResources is {value!r}, which is not a value that it can have.")


class ApiDocuments:
    """The swagger document of an endpoint under its management and help URLs, for anyone, and republishing."""

    def __init__(self, context: Context, classic: ClassicServices, scoring: Scoring) -> None:
        self._context = context
        self._classic = classic
        self._scoring = scoring

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; those below ``/apihelp`` are where ``HelpLocation`` leads to."""
        endpoint = "/workspaces/{workspace}/webservices/{service}/endpoints/{endpoint}/apidocument"
        return [
            web.get(endpoint, self.document),
            web.get("/apihelp" + endpoint, self.document),
            web.post(f"{CONTROL_PREFIX}republish/{{workspace}}/{{service}}", self.republish),
        ]

    async def document(self, request: web.Request) -> web.Response:
        """GET …/apidocument: the endpoint is named by its name or its GUID; no token is asked for."""
        service = self._find(request)
        given = request.match_info["endpoint"]
        endpoints = self._classic.endpoints(service["Id"])
        guid = given.replace("-", "").lower()
        endpoint = endpoints.get(given) or next((e for e in endpoints.values() if e["EndpointId"] == guid), None)
        execution: ExecutionService | None = None
        if endpoint is not None:
            workspace_id = request.match_info["workspace"].lower()
            execution = self._context.execution.find(self._classic.path_of(workspace_id, endpoint))
        if execution is None:
            raise management_not_found("NotFound", f"There is no endpoint {given!r}.")
        return await self._scoring.document(request, execution)

    async def republish(self, request: web.Request) -> web.Response:
        """Publish the experiment of a web service again: ``default`` follows, the others are as they were."""
        service = self._find(request)
        published = {**service, "PublishedAt": timestamp(self._context.clock())}
        self._classic.services(request.match_info["workspace"].lower())[service["Id"]] = published
        return web.json_response({"publishedAt": published["PublishedAt"]})

    def _find(self, request: web.Request) -> Document:
        given = request.match_info["service"]
        services = self._classic.services(request.match_info["workspace"].lower())
        service = services.get(given.replace("-", "").lower())
        if service is None:
            raise management_not_found("WebServiceNotFound", f"There is no web service {given!r}.")
        return service
