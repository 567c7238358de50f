"""Live targets, inventories and ledgers, made of a few words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.apply.training.recipes import artifact_path
from reconciler.importing.known import Known
from reconciler.plan.states import (
    Converged,
    KnownVersion,
    Ledger,
    LiveBinding,
    LiveTarget,
    Location,
    Marker,
    Proof,
    Served,
    VersionKey,
    VersionState,
)
from reconciler.spec.documents import Metadata, SecretReference, Storage, Workspace, WorkspaceSpec
from reconciler.targets.classic import inventory as classic
from reconciler.targets.classic.inventory import LiveEndpoint, LiveService
from reconciler.targets.inventory import Inventory, joined
from reconciler.targets.new_service import inventory as new_service
from reconciler.targets.new_service.inventory import LiveWebService

BASE = "https://contosostore.blob.core.windows.net/"
STUDIO = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
MODEL = "Breast Cancer [trained model]"
GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/Contoso-ML"
FINGERPRINT = "0123456789abcdef" * 4


class Makes:
    """Makes what tests speak of."""

    base = BASE
    model = MODEL
    fingerprint = FINGERPRINT

    def place(self, path: str = "models/initial/cancer.ilearner", base: str = BASE) -> Location:
        return Location(base, path)

    def own_place(self, key: VersionKey, fingerprint: str = FINGERPRINT) -> Location:
        """Where we put what we trained."""
        return Location(BASE, artifact_path("models", key, fingerprint, 1))

    def marker(self, key: VersionKey, fingerprint: str = FINGERPRINT) -> Marker:
        return Marker(key, fingerprint[:12])

    def live(self, identity="w/s/e", *, bound=None, markers=(), **settings) -> LiveTarget:
        return LiveTarget(
            identity,
            exists=True,
            bound={resource: LiveBinding(place) for resource, place in (bound or {}).items()},
            markers=tuple(markers),
            settings=settings,
        )

    def endpoint(self, name="clinica", resources=(MODEL,), **live) -> LiveEndpoint:
        return LiveEndpoint(name, self.live(f"{STUDIO}/s1/{name}", **live), tuple(resources))

    def service(self, *endpoints, name="Breast Cancer [predictive exp.]", **more) -> LiveService:
        return LiveService(
            "contoso", STUDIO, more.pop("id", "s1"), name, more.pop("unique", True), tuple(endpoints), **more
        )

    def web_service(self, name="BreastCancer", resources=(MODEL,), **live) -> LiveWebService:
        resource_id = f"{GROUP}/providers/Microsoft.MachineLearning/webServices/{name}"
        return LiveWebService(resource_id, STUDIO, self.live(resource_id.lower(), **live), tuple(resources))

    def inventory(self, *services, web_services=()) -> Inventory:
        workspaces = self.known().workspaces
        return joined([classic.inventory_of(services), new_service.inventory_of(web_services, workspaces)])

    def known(self, **more) -> Known:
        workspace = Workspace(
            metadata=Metadata(name="contoso"),
            spec=WorkspaceSpec(
                id=STUDIO,
                region="South Central US",
                token=SecretReference(env="TOKEN"),
                storage=Storage(connection_string=SecretReference(env="STORAGE"), container="models"),
            ),
        )
        return Known(**{"workspaces": {"contoso": workspace}, "written": {"contoso"}, **more})

    def ledger(self, key: VersionKey, location: Location, identity="", seen=None, fingerprint=FINGERPRINT) -> Ledger:
        """A store that has a version, and has pointed a target at it."""
        known = KnownVersion(key, fingerprint, VersionState.USABLE, location)
        at = datetime(2026, 11, 1, tzinfo=UTC)
        converged = Converged({MODEL: Served(key, fingerprint, seen)}, Proof.PROVEN, at)
        return Ledger({key: known}, {identity: converged} if identity else {})


@pytest.fixture
def a() -> Makes:
    return Makes()
