"""Classic web services and their endpoints as the emulator keeps them, and how the wire shows them.

A web service is a document of the collection ``web-services/{workspace}``; its endpoints, by name, are documents of
``endpoints/{service}``, so that a listing reads nothing but what it lists.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from reconciler.emulator.config.predictive_experiments import PredictiveExperiment
from reconciler.emulator.config.studio_file import ClassicService, Workspace, derived_id
from reconciler.emulator.context import Context, new_key
from reconciler.emulator.documents import Collection, Document
from reconciler.emulator.execution.initial_models import initial_models
from reconciler.emulator.execution.services import CODE, BoundModel, ExecutionService, execution_path
from reconciler.emulator.execution.wire_format import location, with_optional

DEFAULT_ENDPOINT = "default"
DESCRIPTION_OF_DEFAULT = "Default endpoint, tied to the experiment"
# The service keeps what it copies in a container of this name (new-protocol 2).
_COPIES = "azuremlassetscontainer"


class ClassicServices:
    """The Classic web services of every workspace of the studio file."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def services(self, workspace_id: str) -> Collection:
        """Return the web services of a workspace, by id."""
        return self._context.documents.collection(f"web-services/{workspace_id}")

    def endpoints(self, service_id: str) -> Collection:
        """Return the endpoints of a web service, by name."""
        return self._context.documents.collection(f"endpoints/{service_id}")

    def experiment_of(self, service: Document) -> Any:
        """Return the experiment that a web service was deployed from; None for one that was published as code."""
        name = service["Experiment"]
        return None if name is None else self._context.studio.experiment(name)

    def resources_of(self, service: Document) -> tuple[str, ...]:
        """Return the names of the updatable resources; none for training (classic-protocol 5.2) and for code."""
        experiment = self.experiment_of(service)
        return experiment.resources if isinstance(experiment, PredictiveExperiment) else ()

    def add_endpoint(
        self,
        workspace: Workspace,
        service: Document,
        name: str,
        *,
        description: str,
        throttle_level: str,
        max_concurrent_calls: int,
        endpoint_id: str | None = None,
    ) -> Document:
        """Make an endpoint with fresh keys, which scores with the experiment's own models at first."""
        document: Document = {
            "Name": name,
            "Description": description,
            "CreationTime": timestamp(self._context.clock()),
            "Version": self.graph_of(service),
            "EndpointId": endpoint_id or self._context.new_id(),
            "PrimaryKey": new_key(),
            "SecondaryKey": new_key(),
            "PreventUpdate": False,
            "MaxConcurrentCalls": max_concurrent_calls,
            "DiagnosticsTraceLevel": "None",
            "ThrottleLevel": throttle_level,
        }
        with self._context.documents.transaction():
            self.store_endpoint(workspace, service, document)
            if service["Experiment"] is None:
                self.rebind_code(workspace, service, document)
            for resource, model in self.initial_models(service).items():
                self._bind(workspace, document, resource, model)
        return document

    def rebind_code(self, workspace: Workspace, service: Document, endpoint: Document) -> None:
        """Give an endpoint of a code service the code that was published last."""
        self._bind(workspace, endpoint, CODE, BoundModel(service["Code"]))

    def _bind(self, workspace: Workspace, endpoint: Document, resource: str, model: BoundModel) -> None:
        delay = self._context.studio.timings.patch_takes_effect
        self._context.execution.bind(self.path_of(workspace.id, endpoint), resource, model, takes_effect_in=delay)

    def store_endpoint(self, workspace: Workspace, service: Document, document: Document) -> None:
        """Write an endpoint, new or changed, and what its execution service needs to know of it."""
        with self._context.documents.transaction():
            self.endpoints(service["Id"])[document["Name"]] = document
            self._context.execution.publish(
                ExecutionService(
                    scope="workspaces",
                    scope_id=workspace.id,
                    id=document["EndpointId"],
                    title=service["Name"],
                    endpoint=document["Name"],
                    experiment=service["Experiment"],
                    primary_key=document["PrimaryKey"],
                    secondary_key=document["SecondaryKey"],
                    max_concurrent_calls=document["MaxConcurrentCalls"],
                    storage_account=workspace.storage_account,
                )
            )

    def graph_of(self, service: Document) -> str:
        """Return when the experiment of a web service was last published, by which endpoints' graphs are compared."""
        return str(service.get("PublishedAt") or service["CreationTime"])

    def version_of(self, service: Document, endpoint: Document) -> str:
        """Return the graph of an endpoint: ``default`` follows each republish, others keep theirs (1.5)."""
        if endpoint["Name"] == DEFAULT_ENDPOINT:
            return self.graph_of(service)
        return str(endpoint.get("Version") or endpoint["CreationTime"])

    def initial_models(self, service: Document) -> dict[str, BoundModel]:
        """Return the experiment's own trained models by name; none for an experiment without any."""
        experiment = self.experiment_of(service)
        return initial_models(self._context, experiment) if isinstance(experiment, PredictiveExperiment) else {}

    def remove_endpoint(self, workspace: Workspace, service: Document, name: str) -> None:
        """Delete an endpoint, which stops answering at once."""
        with self._context.documents.transaction():
            document = self.endpoints(service["Id"]).pop(name)
            self._context.execution.withdraw(self.path_of(workspace.id, document))

    def remove_service(self, workspace: Workspace, service: Document) -> None:
        """Delete a web service with all its endpoints."""
        with self._context.documents.transaction():
            for name in self.endpoints(service["Id"]):
                self.remove_endpoint(workspace, service, name)
            del self.services(workspace.id)[service["Id"]]

    def path_of(self, workspace_id: str, endpoint: Document) -> str:
        """Return the path of an endpoint's execution service."""
        return execution_path("workspaces", workspace_id, endpoint["EndpointId"])

    def service_on_wire(self, workspace: Workspace, service: Document) -> Document:
        """Return the WebService object (classic-protocol 1.4)."""
        shown = {
            "Id": service["Id"],
            "Name": service["Name"],
            "CreationTime": service["CreationTime"],
            "WorkspaceId": workspace.id,
            "DefaultEndpointName": DEFAULT_ENDPOINT,
            "EndpointCount": len(self.endpoints(service["Id"])),
        }
        return with_optional(shown, {"Description": service["Description"] or None}, self._context.studio.behaviour)

    def endpoint_on_wire(
        self, workspace: Workspace, service: Document, endpoint: Document, origin: str, *, resources: bool
    ) -> Document:
        """Return the Endpoint object: 13 members as captured, and Resources if asked (classic-protocol 1.5)."""
        endpoint = self._as_shown(endpoint)
        behaviour = self._context.studio.behaviour
        guid = endpoint["EndpointId"]
        home = f"workspaces/{workspace.id}/webservices/{service['Id']}"
        shown: Document = {
            "Name": endpoint["Name"],
            "Description": endpoint["Description"],
            "CreationTime": endpoint["CreationTime"],
            "WorkspaceId": workspace.id,
            "WebServiceId": service["Id"],
            "HelpLocation": f"{origin}/apihelp/{home}/endpoints/{guid}",
            "PrimaryKey": endpoint["PrimaryKey"],
            "SecondaryKey": endpoint["SecondaryKey"],
            "ApiLocation": f"{origin}/{self.path_of(workspace.id, endpoint)}",
            "PreventUpdate": endpoint["PreventUpdate"],
            "MaxConcurrentCalls": self._shown_calls(endpoint),
            "DiagnosticsTraceLevel": endpoint["DiagnosticsTraceLevel"],
            "ThrottleLevel": endpoint["ThrottleLevel"],
        }
        versions = {
            "absent": None,
            "fixed": self.version_of(service, endpoint),
            # The later of the two: a refresh moves it as well.
            "moves": max(endpoint.get("PatchedAt") or "", self.version_of(service, endpoint)),
        }
        optional = {
            "ExperimentLocation": None,
            "Version": versions[behaviour.model_version],
            "Resources": self._resources_on_wire(workspace, service, endpoint) if resources else None,
        }
        return with_optional(shown, optional, behaviour)

    def _as_shown(self, endpoint: Document) -> Document:
        """Return an endpoint without changes that are too recent to be seen (`Behaviour.read_after_patch`)."""
        shown_from = endpoint.get("ShownFrom")
        if shown_from is None or self._context.clock() >= datetime.fromisoformat(shown_from):
            return endpoint
        before: Document = endpoint["Before"]
        return {**endpoint, **before}

    def patched(self, endpoint: Document, members: Document, *, model: bool) -> Document:
        """Return an endpoint after a PATCH of some members, and of its trained model if ``model``."""
        now = self._context.clock()
        if model:
            members = {**members, "PatchedAt": timestamp(now)}
        changed = {**endpoint, **members}
        if self._context.studio.behaviour.read_after_patch == "delayed":
            before = self._as_shown(endpoint)
            names = {*members, *(endpoint["Before"] if before is not endpoint else ())}
            changed["Before"] = {name: before.get(name) for name in names}
            changed["ShownFrom"] = (now + self._context.studio.timings.patch_takes_effect).isoformat()
        return changed

    def _shown_calls(self, endpoint: Document) -> int:
        limits = self._context.studio.limits
        if self._context.studio.behaviour.shown_calls == "tuned":
            return limits.max_concurrent_calls if endpoint["ThrottleLevel"] == "High" else limits.low_throttle_calls
        return int(endpoint["MaxConcurrentCalls"])

    def _resources_on_wire(
        self, workspace: Workspace, service: Document, endpoint: Document
    ) -> list[dict[str, Any]] | None:
        resources = self.resources_of(service)
        if not resources:
            braces = [{"Name": "{}", "Kind": "TrainedModel"}]
            ways: dict[str, list[dict[str, Any]] | None] = {"absent": None, "empty": [], "braces": braces}
            return ways[self._context.studio.behaviour.training_resources]
        return [self._resource_on_wire(workspace, endpoint, resource) for resource in resources]

    def _resource_on_wire(self, workspace: Workspace, endpoint: Document, resource: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"Name": resource, "Kind": "TrainedModel"}
        bound_location = self._context.studio.behaviour.bound_location
        if bound_location == "null":
            shown["Location"] = None
        elif bound_location != "absent" and (found := self._location(workspace, endpoint, resource)):
            shown["Location"] = found
        return shown

    def _location(self, workspace: Workspace, endpoint: Document, resource: str) -> dict[str, Any] | None:
        """Return where the bound model lies: the blob that was patched in, or the service's own copy of it."""
        behaviour, execution = self._context.studio.behaviour, self._context.execution
        path = self.path_of(workspace.id, endpoint)
        at_once = behaviour.read_after_patch == "atOnce"
        bound = execution.latest_model(path, resource) if at_once else execution.model(path, resource)
        if bound is None:
            return None
        base, relative = bound.base_location, bound.relative_location
        if behaviour.bound_location == "copy":
            copy_id = bound.copy_id or hashlib.sha256(bound.digest.encode()).hexdigest()[:32]
            base = f"{self._context.server_url}/{workspace.storage_account}/"
            relative = f"{_COPIES}/{copy_id}.ilearner"
        if base is None or relative is None:
            return None
        shown = location(base, relative, self._token(base, relative), behaviour)
        if behaviour.location_signature == "null":
            shown["SasBlobToken"] = None
        return shown

    def _token(self, base: str, relative: str) -> str | None:
        if self._context.studio.behaviour.location_signature != "fresh":
            return None
        account = urlsplit(base).path.strip("/")
        if account not in {known.name for known in self._context.studio.storage_accounts}:
            return ""  # a real account, whose key is not known here
        container = relative.strip().lstrip("/").partition("/")[0]
        return self._context.storage.sign(account, container, permissions="rl", valid_for=timedelta(hours=1))


def seed_classic_services(context: Context, classic: ClassicServices) -> None:
    """Make the web services of the studio file that the state does not hold yet; their first models are there."""
    seeded = context.documents.collection("seeded")
    with context.documents.transaction():
        for workspace in context.studio.workspaces:
            for service_id, service in _services_of(workspace):
                # A service that a user deleted does not come back at the next start.
                if f"service/{service_id}" in seeded:
                    continue
                _seed_service(context, classic, workspace, service, service_id=service_id)
                seeded[f"service/{service_id}"] = {}


def _services_of(workspace: Workspace) -> Iterator[tuple[str, ClassicService]]:
    for position, service in enumerate(workspace.services):
        yield workspace.service_id(position), service


def _seed_service(
    context: Context,
    classic: ClassicServices,
    workspace: Workspace,
    service: ClassicService,
    *,
    service_id: str,
) -> None:
    document = {
        "Id": service_id,
        "Name": service.name,
        "Description": service.description,
        "CreationTime": timestamp(context.clock()),
        "Experiment": service.experiment,
    }
    classic.services(workspace.id)[service_id] = document
    limits = context.studio.limits
    classic.add_endpoint(
        workspace,
        document,
        DEFAULT_ENDPOINT,
        description=DESCRIPTION_OF_DEFAULT,
        throttle_level="Low",
        max_concurrent_calls=limits.low_throttle_calls,
        endpoint_id=derived_id(service_id, DEFAULT_ENDPOINT),
    )
    for endpoint in service.endpoints:
        high = endpoint.throttle_level == "High"
        classic.add_endpoint(
            workspace,
            document,
            endpoint.name,
            description=endpoint.description,
            throttle_level=endpoint.throttle_level,
            max_concurrent_calls=(
                endpoint.max_concurrent_calls or limits.default_high_calls if high else limits.low_throttle_calls
            ),
            endpoint_id=derived_id(service_id, endpoint.name),
        )


def timestamp(moment: datetime) -> str:
    """Return a time as the service writes it: UTC, milliseconds, ``Z`` (classic-protocol 1.4)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
