"""Classic web services and their endpoints as the local Studio keeps them, and how the wire shows them.

A web service is a document of the collection ``web-services/{workspace}``; its endpoints, by name, are documents of
``endpoints/{service}``, so that a listing reads nothing but what it lists.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler.emulator.context import Context, new_key
from reconciler.emulator.documents import Collection, Document
from reconciler.emulator.execution_services import BoundModel, ExecutionService, execution_path
from reconciler.emulator.studio_file import ClassicService, PredictiveExperiment, Workspace, derived_id

DEFAULT_ENDPOINT = "default"
DESCRIPTION_OF_DEFAULT = "Default endpoint, tied to the experiment"


class ClassicServices:
    """The Classic web services of every workspace of the studio file."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def services(self, workspace_id: str) -> Collection:
        """The web services of a workspace, by id."""
        return self._context.documents.collection(f"web-services/{workspace_id}")

    def endpoints(self, service_id: str) -> Collection:
        """The endpoints of a web service, by name."""
        return self._context.documents.collection(f"endpoints/{service_id}")

    def experiment_of(self, service: Document) -> Any:
        """The experiment that a web service was deployed from."""
        return self._context.studio.experiment(service["Experiment"])

    def resource_of(self, service: Document) -> str | None:
        """The name of the one updatable resource; None for a training service (classic-protocol 5.2)."""
        experiment = self.experiment_of(service)
        return experiment.trained_model if isinstance(experiment, PredictiveExperiment) else None

    def add_endpoint(
        self,
        workspace: Workspace,
        service: Document,
        name: str,
        *,
        description: str,
        throttle_level: str,
        max_concurrent_calls: int,
        model: BoundModel | None,
        endpoint_id: str | None = None,
    ) -> Document:
        """Makes an endpoint with fresh keys; ``model`` is what it scores with at first, None for training."""
        document: Document = {
            "Name": name,
            "Description": description,
            "CreationTime": timestamp(self._context.clock()),
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
            resource = self.resource_of(service)
            if resource is not None and model is not None:
                path = self.path_of(workspace.id, document)
                self._context.execution.bind(
                    path, resource, model, takes_effect_in=self._context.studio.timings.patch_takes_effect
                )
        return document

    def store_endpoint(self, workspace: Workspace, service: Document, document: Document) -> None:
        """Writes an endpoint, new or changed, and what its execution service needs to know of it."""
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

    def remove_endpoint(self, workspace: Workspace, service: Document, name: str) -> None:
        """Deletes an endpoint, which stops to answer at once."""
        with self._context.documents.transaction():
            document = self.endpoints(service["Id"]).pop(name)
            self._context.execution.withdraw(self.path_of(workspace.id, document))

    def remove_service(self, workspace: Workspace, service: Document) -> None:
        """Deletes a web service with all its endpoints."""
        with self._context.documents.transaction():
            for name in self.endpoints(service["Id"]):
                self.remove_endpoint(workspace, service, name)
            del self.services(workspace.id)[service["Id"]]

    def path_of(self, workspace_id: str, endpoint: Document) -> str:
        """The path of an endpoint's execution service."""
        return execution_path("workspaces", workspace_id, endpoint["EndpointId"])

    def service_on_wire(self, workspace: Workspace, service: Document) -> Document:
        """The WebService object (classic-protocol 1.4)."""
        return {
            "Id": service["Id"],
            "Name": service["Name"],
            **({"Description": service["Description"]} if service["Description"] else {}),
            "CreationTime": service["CreationTime"],
            "WorkspaceId": workspace.id,
            "DefaultEndpointName": DEFAULT_ENDPOINT,
            "EndpointCount": len(self.endpoints(service["Id"])),
        }

    def endpoint_on_wire(
        self, workspace: Workspace, service: Document, endpoint: Document, origin: str, *, resources: bool
    ) -> Document:
        """The Endpoint object: the captured listing's 13 members, and Resources if asked (classic-protocol 1.5)."""
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
            "MaxConcurrentCalls": endpoint["MaxConcurrentCalls"],
            "DiagnosticsTraceLevel": endpoint["DiagnosticsTraceLevel"],
            "ThrottleLevel": endpoint["ThrottleLevel"],
        }
        # A member that is null is left out altogether (classic-protocol 1.5).
        if resources and (resource := self.resource_of(service)) is not None:
            shown["Resources"] = [self._resource_on_wire(workspace, endpoint, resource)]
        return shown

    def _resource_on_wire(self, workspace: Workspace, endpoint: Document, resource: str) -> Document:
        shown: Document = {"Name": resource, "Kind": "TrainedModel"}
        if self._context.studio.behaviour.show_bound_location:
            bound = self._context.execution.latest_model(self.path_of(workspace.id, endpoint), resource)
            if bound is not None and bound.base_location is not None:
                shown["Location"] = {
                    "BaseLocation": bound.base_location,
                    "RelativeLocation": bound.relative_location,
                }
        return shown


def seed(context: Context, initial_models: dict[str, BoundModel]) -> ClassicServices:
    """Makes the web services of the studio file that the state does not hold yet.

    Args:
        context: the emulator's parts.
        initial_models: what the services of each predictive experiment score with at first.
    """
    classic = ClassicServices(context)
    seeded = context.documents.collection("seeded")
    with context.documents.transaction():
        for workspace in context.studio.workspaces:
            for service_id, service in _services_of(workspace):
                model = initial_models.get(service.experiment)
                # A service that a user deleted does not come back at the next start.
                if f"service/{service_id}" in seeded:
                    continue
                _seed_service(context, classic, workspace, service, service_id=service_id, model=model)
                seeded[f"service/{service_id}"] = {}
    return classic


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
    model: BoundModel | None,
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
        model=model,
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
            model=model,
            endpoint_id=derived_id(service_id, endpoint.name),
        )


def timestamp(moment: datetime) -> str:
    """A time as the service writes it: UTC, milliseconds, ``Z`` (classic-protocol 1.4)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
