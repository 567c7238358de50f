"""The Classic management API: web services and their endpoints (classic-protocol 1).

There is no paging, no ETag and no precondition: the last writer wins. What the service does not show is None
here; it leaves out members that are null (classic-protocol 1.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from reconciler.azure.credentials import Credential
from reconciler.azure.errors import InvalidReply, NotFound, ServiceError
from reconciler.azure.http import Http

_NOT_MODIFIED = 304
_BAD_REQUEST = 400
# A 404 with one of these is not about the endpoint (classic-protocol 4.1 and 4.2).
_WORKSPACE_MISSING = ("WorkspaceNotFound", "WebServiceIdNotFoundInWorkspace", "InvalidWorkspaceId")


@dataclass(frozen=True, slots=True)
class WebService:
    """A web service as listed. Names are not unique: key by ``id`` (classic-protocol 1.4)."""

    id: str
    name: str
    default_endpoint: str | None = None
    description: str = ""
    endpoint_count: int | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """An updatable resource of an endpoint.

    Attributes:
        name: What a patch must call it.
        kind: Only ``TrainedModel`` was ever seen.
        location: Base (ending with ``/``) and relative (not beginning with one); None when it is not shown,
            as in all captured answers (classic-protocol 1.5).
    """

    name: str
    kind: str = "TrainedModel"
    location: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint (classic-protocol 1.5).

    Attributes:
        name: Unique in its service.
        description: Also holds the ownership marker.
        api_location: Base URL for jobs and scoring, without a trailing slash.
        help_location: The endpoint's help page.
        primary_key: Bearer key of ``api_location``.
        throttle_level: ``Low`` or ``High``.
        max_concurrent_calls: Limit of scoring calls. What is shown need not be what was put (classic-protocol
            1.6).
        diagnostics: ``DiagnosticsTraceLevel``: ``None``, ``Error`` or ``All``.
        resources: None when the service does not show them, as in a listing.
        prevent_update: Meaning undocumented.
        created: When it was created.
        version: When its model was defined.
    """

    name: str
    description: str | None = None
    api_location: str | None = None
    help_location: str | None = None
    primary_key: SecretStr | None = None
    throttle_level: str | None = None
    max_concurrent_calls: int | None = None
    diagnostics: str | None = None
    resources: tuple[Resource, ...] | None = None
    prevent_update: bool | None = None
    created: datetime | None = None
    version: datetime | None = None


@dataclass(frozen=True, slots=True)
class ResourceUpdate:
    """A new model for a resource: where it lies, and a signature to read it with."""

    name: str
    base: str
    relative: str
    sas: SecretStr


@dataclass(frozen=True, slots=True)
class EndpointPatch:
    """What to change; what is empty or None is left alone.

    Patching ``throttle_level`` and ``max_concurrent_calls`` is inferred from a client's commented-out
    parameters (classic-protocol 1.7): read back whether it was taken.
    """

    resources: tuple[ResourceUpdate, ...] = ()
    description: str | None = None
    diagnostics: str | None = None
    throttle_level: str | None = None
    max_concurrent_calls: int | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON body in the safest form seen: https base with ``/``, relative without, SAS with ``?``."""
        body: dict[str, Any] = {}
        if self.resources:
            body["Resources"] = [
                {
                    "Name": resource.name,
                    "Location": {
                        "BaseLocation": resource.base.rstrip("/") + "/",
                        "RelativeLocation": resource.relative.lstrip("/"),
                        "SasBlobToken": "?" + resource.sas.get_secret_value().lstrip("?"),
                    },
                }
                for resource in self.resources
            ]
        body.update(_settings(self.description, self.throttle_level, self.max_concurrent_calls))
        if self.diagnostics is not None:
            body["DiagnosticsTraceLevel"] = self.diagnostics
        return body


class ClassicManagement:
    """The management API of one workspace."""

    def __init__(self, http: Http, base_url: str, workspace_id: str, token: Credential) -> None:
        """Make a client.

        Args:
            http: The pool to use.
            base_url: Of the region, as `Cloud.management_url` gives it.
            workspace_id: 32 hex digits.
            token: The workspace's authorization token, which every operation takes (classic-protocol 1.2). A token
                with a place is looked up when the first call is made.
        """
        self._http = http
        self._root = f"{base_url.rstrip('/')}/workspaces/{quote(workspace_id, safe='')}/webservices"
        self._workspace_id = workspace_id
        self._token = token

    async def list_services(self, *, once: bool = False) -> list[WebService]:
        """All web services of the workspace, in one call, which is sent only once if ``once``.

        Raises:
            ServiceError: as `Http.request`.
        """
        operation = f"list web services of workspace {self._workspace_id}"
        tries = False if once else None
        reply = await self._http.request("GET", self._root, token=self._token, operation=operation, idempotent=tries)
        return [
            WebService(
                id=str(item["Id"]),
                name=str(item.get("Name") or ""),
                default_endpoint=item.get("DefaultEndpointName"),
                description=str(item.get("Description") or ""),
                endpoint_count=_integer(item.get("EndpointCount")),
            )
            for item in reply.expect(list, operation) or []
            if isinstance(item, Mapping) and item.get("Id")
        ]

    async def list_endpoints(self, service_id: str) -> list[Endpoint]:
        """All endpoints of a service, in one call: up to 10,000 (classic-protocol 1.10).

        Raises:
            ServiceError: as `Http.request`; `NotFound` when there is no such service.
        """
        operation = f"list endpoints of web service {service_id}"
        reply = await self._http.request("GET", self._endpoints(service_id), token=self._token, operation=operation)
        items = reply.expect(list, operation) or []
        return [_endpoint(item) for item in items if isinstance(item, Mapping) and item.get("Name")]

    async def get_endpoint(self, service_id: str, name: str) -> Endpoint | None:
        """One endpoint; None when there is none, which the service says as 204, 404 or ``null``.

        Raises:
            ServiceError: as `Http.request`; `NotFound` when it is the workspace that is not there.
        """
        operation = f"get endpoint {name} of web service {service_id}"
        try:
            reply = await self._http.request(
                "GET", self._endpoints(service_id, name), token=self._token, operation=operation
            )
        except NotFound as error:
            if error.has_code(*_WORKSPACE_MISSING):
                raise
            return None
        item = reply.expect(dict, operation)
        return _endpoint(item) if item and item.get("Name") else None

    async def create_endpoint(
        self,
        service_id: str,
        name: str,
        *,
        description: str | None = None,
        throttle_level: str | None = None,
        max_concurrent_calls: int | None = None,
    ) -> Endpoint:
        """Add an endpoint. It serves the model of the default endpoint until it is patched.

        Raises:
            Conflict: the name exists, perhaps through an earlier try of this very call, whose answer was
                lost. Read it. Whether the service says so or overwrites is unknown (classic-protocol 1.6).
            ServiceError: as `Http.request`.
        """
        operation = f"create endpoint {name} of web service {service_id}"
        reply = await self._http.request(
            "PUT",
            self._endpoints(service_id, name),
            token=self._token,
            json=_settings(description, throttle_level, max_concurrent_calls),
            operation=operation,
        )
        item = reply.expect(dict, operation)
        if item and item.get("Name"):
            return _endpoint(item)
        made = await self.get_endpoint(service_id, name)
        if made is None:
            raise InvalidReply(
                "the service accepted the endpoint, but the endpoint does not exist",
                operation=operation,
                status=reply.status,
            )
        return made

    async def patch_endpoint(self, service_id: str, name: str, patch: EndpointPatch) -> None:
        """Change an endpoint. A new model is served about 30 s later (classic-protocol 1.7).

        Raises:
            LostReply: it may have been done: read before repeating.
            ServiceError: as `Http.request`.
        """
        await self._http.request(
            "PATCH",
            self._endpoints(service_id, name),
            token=self._token,
            json=patch.body(),
            operation=f"patch endpoint {name} of web service {service_id}",
        )

    async def delete_endpoint(self, service_id: str, name: str) -> None:
        """Delete an endpoint; one that is not there is fine.

        Raises:
            ServiceError: as `Http.request`.
        """
        operation = f"delete endpoint {name} of web service {service_id}"
        try:
            await self._http.request(
                "DELETE", self._endpoints(service_id, name), token=self._token, operation=operation
            )
        except NotFound as error:
            if error.has_code(*_WORKSPACE_MISSING):
                raise

    async def refresh_endpoint(self, service_id: str, name: str) -> bool:
        """Make an endpoint of what the default endpoint is made of now; its trained models are kept.

        With ``OverwriteResources`` it would take the experiment's own model too, which undoes every repoint
        (classic-protocol 1.8), so it is never asked for here.

        Returns:
            Whether anything changed; the service says 304 if not.

        Raises:
            LostReply: it may have been done; doing it again is harmless.
            ServiceError: as `Http.request`.
        """

        async def ask(overwrite: str | bool) -> bool:
            reply = await self._http.request(
                "POST",
                f"{self._endpoints(service_id, name)}/refresh",
                token=self._token,
                json={"OverwriteResources": overwrite},
                operation=f"refresh endpoint {name} of web service {service_id}",
            )
            return reply.status != _NOT_MODIFIED

        try:
            return await ask("False")
        except ServiceError as error:
            # One client sends a string, another a boolean; whether both are taken is unknown (classic-protocol 8).
            if error.status != _BAD_REQUEST:
                raise
            return await ask(overwrite=False)

    def _endpoints(self, service_id: str, name: str | None = None) -> str:
        url = f"{self._root}/{quote(service_id, safe='')}/endpoints"
        return url if name is None else f"{url}/{quote(name, safe='')}"


def _settings(description: str | None, throttle_level: str | None, max_concurrent_calls: int | None) -> dict[str, Any]:
    settings = {
        "Description": description,
        "ThrottleLevel": throttle_level,
        "MaxConcurrentCalls": max_concurrent_calls,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _endpoint(item: Mapping[str, Any]) -> Endpoint:
    get = item.get
    key, api_location, resources = get("PrimaryKey"), get("ApiLocation"), get("Resources")
    created, version = get("CreationTime"), get("Version")
    return Endpoint(
        name=item["Name"],
        description=get("Description"),
        api_location=api_location.rstrip("/") if api_location else None,
        help_location=get("HelpLocation"),
        primary_key=SecretStr(key) if key else None,
        throttle_level=get("ThrottleLevel"),
        max_concurrent_calls=_integer(get("MaxConcurrentCalls")),
        diagnostics=get("DiagnosticsTraceLevel"),
        resources=_resources(resources) if isinstance(resources, list) else None,
        prevent_update=get("PreventUpdate"),
        created=_time(created) if created else None,
        version=_time(version) if version else None,
    )


def _resources(items: list[Any]) -> tuple[Resource, ...]:
    # A resource without a name cannot be patched (classic-protocol 5, fact 3), so it is none.
    return tuple(
        Resource(str(item["Name"]), str(item.get("Kind") or "TrainedModel"), _location(item.get("Location")))
        for item in items
        if isinstance(item, Mapping) and item.get("Name") not in {None, "", "{}"}
    )


def _location(value: object) -> tuple[str, str] | None:
    if not isinstance(value, Mapping):
        return None
    base, relative = value.get("BaseLocation"), value.get("RelativeLocation")
    if not isinstance(base, str) or not isinstance(relative, str) or not base or not relative:
        return None
    return base.rstrip("/") + "/", relative.lstrip("/")


def _integer(value: object) -> int | None:
    # A number, or as some clients write it a numeric text (classic-protocol 1.6).
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else None
    return int(value) if isinstance(value, int | float) else None


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    # Times are UTC; one that does not say so must still compare with those that do.
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
