"""Which endpoints are a set's orphans: it may be deleted what is found here, so one sign alone is not enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.azure.classic import Endpoint
from reconciler.spec.fleet import Fleet
from reconciler.targets.classic import orphans as classic_orphans
from reconciler.targets.classic.state import Service
from tests.end_to_end.sets.franchise import TREE
from tests.support.fleets import load_fleet

HOME = "3ad1c2b4e5f60718293a4b5c6d7e8f90/svc"
PLACE = ("contoso", "Bike Rental Scoring")
SHARED = """---
apiVersion: reconciler/v1
kind: Model
metadata: {name: demand}
spec: {workspace: contoso, versions: {"1": {location: {
  baseLocation: "https://a.blob.core.windows.net/", relativeLocation: models/demand.ilearner}}}}
---
apiVersion: reconciler/v1
kind: EndpointSet
metadata: {name: bike}
spec:
  items: {list: [{item: a}]}
  endpoint:
    workspace: contoso
    webService: Bike Rental Scoring
    endpoint: bike-{item}
    model: {resource: "Bike Rental [trained model]", name: demand, version: "1"}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    for file in ("bike-rental.yaml", "contoso.yaml"):
        (tmp_path / file).write_text((TREE / file).read_text() + (SHARED if file == "contoso.yaml" else ""))
    (tmp_path / "locations.csv").write_text("location,name\n001,Alma\n")
    return load_fleet([tmp_path])


def found(fleet: Fleet, name: str, model: str | None, recorded: str = "", **names: str) -> tuple[Any, ...]:
    """The set and the name under which one more endpoint is an orphan; empty if it is none."""
    note = "" if model is None else f"Hello [reconciler: {model}@2026-11 0123456789ab]"
    listed = (Endpoint("default"), Endpoint("rentalloc001"), Endpoint("bike-a"), Endpoint(name, description=note))
    service = Service(*PLACE, id="svc", endpoints={endpoint.name: endpoint for endpoint in listed})
    known = {f"{HOME}/{name}": recorded} if recorded else {}
    managed = {f"{HOME}/rentalloc001", f"{HOME}/bike-a"}
    orphans = classic_orphans.find(fleet, {PLACE: service}, managed, known)
    return tuple(value for orphan in orphans for value in (orphan.target.group, orphan.target.name))


ORPHANS = {
    "our note names a model of the set": ("rentalloc007", "bike-rental-007", "", ("bike-rental", "bike-rental-007")),
    "the store remembers it, the note is gone": ("rentalloc007", None, "bike-rental-007",
                                                 ("bike-rental", "bike-rental-007")),
    "it was renamed in the template": ("oldname001", "bike-rental-001", "", ("bike-rental", "bike-rental-oldname001")),
    "the note names the model that all share": ("bike-z", "demand", "", ("bike", "bike-bike-z")),
    "shared model, and remembered": ("bike-z", "demand", "bike-z", ("bike", "bike-z")),
}  # fmt: skip
NONE = {
    "no note, no memory": ("rentalloc007", None, ""),
    "a note of another model": ("rentalloc007", "scooters-007", ""),
    "a name that the template cannot give": ("clinica", "bike-rental-007", ""),
    "a document's own endpoint, taken out, of the model that all share": ("bike-z", "demand", "clinic-z"),
    "the set with the longer name has it": ("bike-q", "bike-rental-q", ""),
    "a set that is no more": ("rentalloc007", "bikes-007", ""),
    "a document's own endpoint, taken out, of a model of the set": ("clinica", "bike-rental-001", "clinic-a"),
}


@pytest.mark.parametrize(("name", "model", "recorded", "expected"), ORPHANS.values(), ids=ORPHANS)
def test_an_endpoint_with_the_signs_of_a_set_is_its_orphan(fleet, name, model, recorded, expected):
    assert expected == found(fleet, name, model, recorded)


@pytest.mark.parametrize(("name", "model", "recorded"), NONE.values(), ids=NONE)
def test_an_endpoint_without_enough_signs_is_nobodys(fleet, name, model, recorded):
    assert () == found(fleet, name, model, recorded)


def test_a_set_without_items_still_sees_what_it_left(tmp_path, fleet):
    (tmp_path / "locations.csv").write_text("location,name\n")
    empty = load_fleet([tmp_path])

    assert ("bike-rental", "bike-rental-007") == found(empty, "rentalloc007", "bike-rental-007")
