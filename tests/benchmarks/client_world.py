"""A fleet of any size for `client.py`, in the two forms that it has: spec files, and what the services answer.

Everything follows from three numbers, so the client, the bare script and the server need not tell each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
RESOURCE = "Bike Rental [trained model]"
OLD, NEW = "2026-09", "2026-11"
"""The version that everything serves, and the one that an endpoint can be converged to. Both are ready-made."""

_SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
_BASE = "https://rentals.blob.core.windows.net/"
_MANAGEMENT = f"/workspaces/{WORKSPACE}/webservices"
_COLUMNS = ("season", "month", "hour", "holiday", "weekday", "working", "weather", "temp", "humidity", "wind")


def artifact(label: str) -> tuple[str, str]:
    """Base and relative location of a version."""
    return _BASE, f"models/bike-rental/{label}.ilearner"


def fingerprint(label: str) -> str:
    """What identifies a ready-made version that lies there."""
    return hashlib.sha256("".join(artifact(label)).encode()).hexdigest()


@dataclass(frozen=True)
class World:
    """So many Classic web services, endpoints in each, and New web services."""

    services: int
    endpoints: int
    new: int = 0

    @property
    def classic(self) -> int:
        """How many Classic endpoints there are."""
        return self.services * self.endpoints

    def service(self, number: int) -> tuple[str, str]:
        """Id and name of a Classic web service."""
        return f"{number:032x}", f"Bike Rental {number:04}"

    def endpoint(self, number: int) -> str:
        """Name of an endpoint; each service has the same ones."""
        return f"rentalloc{number:05}"

    def resource_id(self, number: int) -> str:
        """Of a New web service."""
        group = f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/rentals"
        return f"{group}/providers/Microsoft.MachineLearning/webServices/Rental{number:04}"

    # -- as specs

    def write_specs(self, directory: Path, label: str = OLD) -> None:
        """Writes the spec tree: a file for each web service, and one for all that is New."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "contoso.yaml").write_text(_shared(), "utf-8")
        for service in range(self.services):
            documents = (self._classic(service, endpoint, label) for endpoint in range(self.endpoints))
            (directory / f"service-{service:04}.yaml").write_text("---\n".join(documents), "utf-8")
        if self.new:
            documents = (self._new(number, label) for number in range(self.new))
            (directory / "new.yaml").write_text("---\n".join(documents), "utf-8")

    def _classic(self, service: int, endpoint: int, label: str) -> str:
        return f"""\
apiVersion: reconciler/v1
kind: ClassicEndpoint
metadata: {{name: rental-{service:04}-{endpoint:05}, labels: {{region: emea}}}}
spec:
  workspace: contoso
  webService: {self.service(service)[1]}
  endpoint: {self.endpoint(endpoint)}
  description: Rentals at location {endpoint}
  throttleLevel: High
  maxConcurrentCalls: 20
  model: {{resource: "{RESOURCE}", name: bike-rental, version: "{label}"}}
"""

    def _new(self, number: int, label: str) -> str:
        return f"""\
apiVersion: reconciler/v1
kind: NewWebService
metadata: {{name: rental-new-{number:04}, labels: {{region: emea}}}}
spec:
  resourceId: {self.resource_id(number)}
  model: {{resource: "{RESOURCE}", name: bike-rental, version: "{label}"}}
  settings: {{maxConcurrentCalls: 20, diagnostics: Error}}
"""

    # -- as answers

    def paths(self) -> Iterator[tuple[str, str]]:
        """What a look at everything has to ask for: paths, and what each holds."""
        yield _MANAGEMENT, "services"
        for service in range(self.services):
            yield f"{_MANAGEMENT}/{self.service(service)[0]}/endpoints", "endpoints"
        for number in range(self.new):
            yield f"{self.resource_id(number)}?api-version=2017-01-01", "definition"

    def services_listed(self) -> list[dict[str, Any]]:
        """The web services of the workspace."""
        return [
            {"Id": identifier, "Name": name, "Description": "", "CreationTime": "2026-05-04T03:02:01Z"}
            for identifier, name in map(self.service, range(self.services))
        ]

    def endpoints_listed(self, service: int, url: str) -> list[dict[str, Any]]:
        """The endpoints of a web service as the captured listing shows them (classic-protocol 1.5): no resources."""
        default = self._endpoint(service, "default", "", url)
        added = (
            self._endpoint(service, self.endpoint(number), _described(number), url) for number in range(self.endpoints)
        )
        return [default, *added]

    def _endpoint(self, service: int, name: str, description: str, url: str) -> dict[str, Any]:
        identifier = self.service(service)[0]
        return {
            "Name": name,
            "Description": description,
            "CreationTime": "2026-05-04T03:02:01Z",
            "WorkspaceId": WORKSPACE,
            "WebServiceId": identifier,
            "HelpLocation": f"{url}/help/{identifier}/{name}",
            "PrimaryKey": f"primary-{identifier}-{name}-oKbWp1Zq8vRt==",
            "SecondaryKey": f"secondary-{identifier}-{name}-oKbWp1Zq8vRt==",
            "ApiLocation": f"{url}/score/{identifier}/{name}",
            "PreventUpdate": name == "default",
            "GlobalParameters": [],
            "MaxConcurrentCalls": 20,
            "DiagnosticsTraceLevel": "None",
            "ThrottleLevel": "High",
            "Version": "2026-05-04T03:02:01Z",
        }

    def definition(self, number: int) -> dict[str, Any]:
        """The definition of a New web service, of the size that small ones have."""
        resource_id = self.resource_id(number)
        columns = {name: {"type": "Number", "format": "Double", "x-ms-isnullable": True} for name in _COLUMNS}
        schema = {"title": "", "type": "Object", "properties": {"rows": {"type": "Object", "properties": columns}}}
        nodes = {
            f"node{index}": {"assetId": f"asset{index}", "parameters": {"Seed": {"value": "42"}}} for index in range(8)
        }
        tags = {"reconciler-version": f"bike-rental@{OLD}", "reconciler-fingerprint": fingerprint(OLD)[:12]}
        uri = "".join(artifact(OLD))
        return {
            "id": resource_id,
            "name": resource_id.rpartition("/")[2],
            "type": "Microsoft.MachineLearning/webServices",
            "location": "South Central US",
            "tags": tags,
            "properties": {
                "title": f"Rental {number}",
                "createdOn": "2026-05-04T03:02:01Z",
                "modifiedOn": "2026-05-04T03:02:01Z",
                "provisioningState": "Succeeded",
                "readOnly": False,
                "packageType": "Graph",
                "storageAccount": {"name": "rentals"},
                "realtimeConfiguration": {"maxConcurrentCalls": 20},
                "diagnostics": {"level": "Error"},
                "input": schema,
                "output": schema,
                "exposeSampleData": True,
                "assets": {
                    "asset0": {"name": RESOURCE, "type": "Resource", "locationInfo": {"uri": uri, "credentials": ""}},
                    **{
                        f"asset{index}": {"name": f"Module {index}", "type": "Module", "locationInfo": {"uri": "aml"}}
                        for index in range(1, 8)
                    },
                },
                "package": {"nodes": nodes, "edges": [{"sourceNodeId": "node0", "targetNodeId": "node1"}] * 8},
            },
        }


def _shared() -> str:
    versions = {
        label: {"location": {"baseLocation": base, "relativeLocation": relative, "sasToken": {"env": "RENTALS_SAS"}}}
        for label in (OLD, NEW)
        for base, relative in (artifact(label),)
    }
    workspace = {
        "id": WORKSPACE,
        "region": "South Central US",
        "token": {"env": "RENTALS_TOKEN"},
        "storage": {"connectionString": {"env": "RENTALS_STORAGE"}, "container": "models"},
    }
    documents = (
        {"kind": "Workspace", "metadata": {"name": "contoso"}, "spec": workspace},
        {"kind": "Model", "metadata": {"name": "bike-rental"}, "spec": {"workspace": "contoso", "versions": versions}},
    )
    return "\n---\n".join(json.dumps({"apiVersion": "reconciler/v1", **document}) for document in documents)


def _described(number: int) -> str:
    return f"Rentals at location {number} [reconciler: bike-rental@{OLD} {fingerprint(OLD)[:12]}]"
