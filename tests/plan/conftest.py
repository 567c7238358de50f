"""Values that the tests of the plan room are made of: a small world with sensible defaults.

The fixture ``a`` makes one value a call: ``a.version()``, ``a.endpoint(name="clinic-b")``, ``a.plan(…)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.plan.decide import make_plan
from reconciler.plan.document import Plan
from reconciler.plan.states import (
    Converged,
    DesiredTarget,
    DesiredVersion,
    KnownVersion,
    Ledger,
    LiveBinding,
    LiveTarget,
    Location,
    Marker,
    ModelBinding,
    Proof,
    Served,
    VersionKey,
    VersionState,
)

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
MODEL = "breast-cancer"
RESOURCE = "Breast Cancer [trained model]"
ACCOUNT = "https://contoso.blob.core.windows.net/"
POINTER = "/properties/assets/asset3/locationInfo/uri"


class World:
    """Factories of states. Whatever is left out is what a healthy fleet has."""

    now = NOW
    pointer = POINTER
    account = ACCOUNT

    def key(self, label: str = "2026-11", model: str = MODEL) -> VersionKey:
        return VersionKey(model, label)

    def fingerprint(self, key: VersionKey) -> str:
        return hashlib.sha256(str(key).encode()).hexdigest()

    def location(self, key: VersionKey) -> Location:
        return Location(ACCOUNT, f"models/{key.model}/{key.label}/{self.fingerprint(key)}.ilearner")

    def version(self, label: str = "2026-11", model: str = MODEL, **given: Any) -> DesiredVersion:
        key = self.key(label, model)
        made: dict[str, Any] = {
            "fingerprint": self.fingerprint(key),
            "location": self.location(key),
            "inputs": {"input1": f"file data/{model}-{label}.csv (48,121 bytes, sha256 1a2b3c4d5e6f)"},
            "training": "Breast Cancer [training exp.], endpoint default",
        }
        return DesiredVersion(key, **{**made, **given})

    def known(self, label: str = "2026-11", model: str = MODEL, **given: Any) -> KnownVersion:
        key = self.key(label, model)
        made: dict[str, Any] = {
            "fingerprint": self.fingerprint(key),
            "state": VersionState.USABLE,
            "location": self.location(key),
            "metrics": {"AUC": 0.97, "Average Log Loss": 0.12},
            "trained_in": timedelta(seconds=130),
        }
        return KnownVersion(key, **{**made, **given})

    def endpoint(self, name: str = "clinic-a", label: str = "2026-11", **given: Any) -> DesiredTarget:
        bindings = (ModelBinding(given.pop("resource", RESOURCE), given.pop("version", self.key(label))),)
        made: dict[str, Any] = {
            "kind": "ClassicEndpoint",
            "identity": f"3ad1c2b4/breast-cancer-predictive/{name}",
            "bindings": bindings,
        }
        return DesiredTarget(name, **{**made, **given})

    def service(self, name: str = "breast-cancer-new", label: str = "2026-11", **given: Any) -> DesiredTarget:
        given.setdefault("kind", "NewWebService")
        given.setdefault("identity", f"/subscriptions/0f/resourcegroups/ml/webservices/{name}")
        return self.endpoint(name, label, **given)

    def live(self, target: DesiredTarget, **given: Any) -> LiveTarget:
        """What is live; ``location``, ``pointer``, ``uri`` and ``marker`` are those of its one resource."""
        location = given.pop("location", None)
        new = target.kind == "NewWebService"
        pointer = given.pop("pointer", POINTER if new else None)
        uri = given.pop("uri", location.uri if new and location is not None else None)
        marker = given.pop("marker", None)
        shown = LiveBinding(location, pointer, uri)
        made: dict[str, Any] = {
            "exists": True,
            "resources": (RESOURCE,) if len(target.bindings) < 2 else tuple(use.resource for use in target.bindings),
            "bound": {use.resource: shown for use in target.bindings} if shown != LiveBinding() else {},
            "markers": () if marker is None else (marker,),
            "fingerprint": f"seen-{target.name}",
        }
        return LiveTarget(target.identity, **{**made, **given})

    def marker(self, label: str = "2026-11", model: str = MODEL) -> Marker:
        key = self.key(label, model)
        return Marker(key, self.fingerprint(key)[:12])

    def converged(self, label: str = "2026-11", model: str = MODEL, **given: Any) -> Converged:
        key = self.key(label, model)
        served = Served(key, given.pop("fingerprint", self.fingerprint(key)), given.pop("location", self.location(key)))
        made: dict[str, Any] = {
            "serves": {given.pop("resource", RESOURCE): served},
            "proof": Proof.PROVEN,
            "at": datetime(2026, 11, 3, 12, 0, tzinfo=UTC),
        }
        return Converged(**{**made, **given})

    def ledger(self, *known: KnownVersion, converged: Mapping[DesiredTarget | str, Converged] | None = None) -> Ledger:
        return Ledger({version.key: version for version in known}, converged or {})

    def plan(
        self,
        targets: Sequence[DesiredTarget],
        live: Sequence[LiveTarget],
        ledger: Ledger | None = None,
        versions: Sequence[DesiredVersion] | None = None,
        **given: Any,
    ) -> Plan:
        if versions is None:
            keys = sorted({use.version for target in targets for use in target.bindings})
            versions = [self.version(key.label, key.model) for key in keys]
        made: dict[str, Any] = {
            "cloud": "local",
            "revision": "1a2b3c4d5e6f7a8b",
            "partial": False,
            "now": NOW,
        }
        return make_plan(
            versions=versions,
            targets=targets,
            live={shown.identity: shown for shown in live},
            ledger=ledger or Ledger(),
            **{**made, **given},
        )


@pytest.fixture(scope="session")
def a() -> World:
    return World()
