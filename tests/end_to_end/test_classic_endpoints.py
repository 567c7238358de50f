"""All of a Classic endpoint: several models, refresh, deletion, regions, and services by name or id.

The tests of a worker share one Studio and keep to endpoints of their own. Versions are ready-made, so nothing is
trained.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.azure.clouds import load_cloud
from reconciler.reconciliation import Outcome, Reconciliation, Result
from reconciler.spec.secrets import SecretResolver
from reconciler.store import Store
from tests.support.fleets import load_fleet
from tests.support.studio import NOT_COPIED, SETTINGS, WORKSPACE, Desk, Studio, running

PAIR = "Two Opinions [predictive exp.]"
SINGLE = "Breast Cancer [predictive exp.]"
TRAINED = "Breast Cancer [trained model]"
FIRST, SECOND = "First Opinion [trained model]", "Second Opinion [trained model]"
FABRIKAM = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
TWINS = ("1a2b3c4d5e6f47889900aabbccddeeff", "2a2b3c4d5e6f47889900aabbccddeeff")
NEW_SERVICE = (
    "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml"
    "/providers/Microsoft.MachineLearning/webServices/TwoOpinions"
)
_SPECS = """
apiVersion: reconciler/v1
kind: Workspace
metadata: {{name: contoso}}
spec:
  id: {contoso}
  region: South Central US
  token: {{env: CONTOSO_WORKSPACE_TOKEN}}
  storage: {{connectionString: {{env: CONTOSO_STORAGE}}, container: models}}
---
apiVersion: reconciler/v1
kind: Workspace
metadata: {{name: fabrikam}}
spec:
  id: {fabrikam}
  region: West Europe
  token: {{env: FABRIKAM_WORKSPACE_TOKEN}}
  storage: {{connectionString: {{env: CONTOSO_STORAGE}}, container: models}}
---
apiVersion: reconciler/v1
kind: Model
metadata: {{name: opinion}}
spec:
  workspace: contoso
  versions:
    "one": {{location: {{baseLocation: "{base}", relativeLocation: models/initial/first.ilearner}}}}
    "two": {{location: {{baseLocation: "{base}", relativeLocation: models/initial/second.ilearner}}}}
"""


def _experiment() -> dict[str, Any]:
    def model(name: str, output: str, dataset: str) -> dict[str, Any]:
        blob = {"account": "contosostore", "container": "models", "blob": f"initial/{output}.ilearner"}
        initial = {"trainedBy": "Breast Cancer [training exp.]", "dataset": dataset, "blob": blob}
        return {"trainedModel": name, "output": output, "initialModel": initial}

    models = [model(FIRST, "first", "breast-cancer-2026-09"), model(SECOND, "second", "breast-cancer-2026-10")]
    return {"name": PAIR, "kind": "predictive", "models": models}


@pytest.fixture(scope="session")
def two_regions(prepared_state: Path, quick_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A Studio with two workspaces in two regions, a service of two models, and two services of one name."""
    content = yaml.safe_load(quick_studio.read_text())
    content["experiments"].append(_experiment())
    workspace = content["workspaces"][0]
    workspace["services"].append({"name": PAIR, "experiment": PAIR})
    twins = [{"name": SINGLE, "experiment": SINGLE, "id": twin} for twin in TWINS]
    content["workspaces"].append(
        {
            **workspace,
            "id": FABRIKAM,
            "name": "fabrikam",
            "region": "West Europe",
            "tokenEnv": "FABRIKAM_WORKSPACE_TOKEN",
            "services": [{"name": PAIR, "experiment": PAIR}, *twins],
        }
    )
    group = content["subscriptions"][0]["resourceGroups"][0]
    group["webServices"].append({"name": "TwoOpinions", "experiment": PAIR})
    base = tmp_path_factory.mktemp("two-regions")
    (base / "studio.yaml").write_text(yaml.safe_dump(content))
    shutil.copytree(prepared_state, base / "state", ignore=NOT_COPIED)
    with running(base / "state", "--studio", str(base / "studio.yaml")) as studio:
        yield studio


@pytest.fixture
def clinic(two_regions: Studio, tmp_path: Path) -> Desk:
    """A user's directory with two workspaces and a model, and a cloud file with a host for each region."""
    desk = Desk(tmp_path / "home", two_regions, cloud_file=tmp_path / "home" / "cloud.json")
    (desk.home / "specs").mkdir(parents=True)
    parts = dict(part.split("=", 1) for part in two_regions.secrets()["CONTOSO_STORAGE"].split(";") if part)
    base = parts["BlobEndpoint"].rstrip("/") + "/"
    text = _SPECS.format(contoso=WORKSPACE, fabrikam=FABRIKAM, base=base)
    (desk.home / "specs" / "contoso.yaml").write_text(text)
    cloud = json.loads(two_regions.cloud_file.read_text())
    shutil.copy(two_regions.cloud_file.parent / cloud["caFile"], desk.home)
    shutil.copy(two_regions.env_file, desk.home / "emulator.env")
    host = cloud.pop("managementUrl")
    regions = ("South Central US", "West Europe", "Southeast Asia")
    cloud["regions"] = {region: f"{host}/regions/{region.replace(' ', '').lower()}" for region in regions}
    (desk.home / "cloud.json").write_text(json.dumps({**cloud, "envFile": "emulator.env"}))
    return desk


def _write(desk: Desk, *targets: dict[str, Any]) -> None:
    """The targets' documents, each a ClassicEndpoint of the service of one model unless it says more."""
    documents = []
    for given in targets:
        spec = dict(given)
        name, kind = spec.pop("name"), spec.pop("kind", "ClassicEndpoint")
        if kind == "ClassicEndpoint":
            spec = {"workspace": "contoso", "webService": SINGLE, "endpoint": name, **spec}
        document = {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        documents.append(yaml.safe_dump(document))
    (desk.home / "specs" / "endpoints.yaml").write_text("---\n".join(documents))


def _use(version: str, resource: str = TRAINED) -> dict[str, str]:
    return {"resource": resource, "name": "opinion", "version": version}


def _endpoints(desk: Desk, workspace: str, service: str) -> dict[str, Any]:
    """The endpoints of a service as it lists them, by name; a service is found by its id or its first name."""
    token = desk.studio.secrets()["CONTOSO_WORKSPACE_TOKEN" if workspace == WORKSPACE else "FABRIKAM_WORKSPACE_TOKEN"]
    path = f"/workspaces/{workspace}/webservices"
    listed = desk.studio.send("GET", path, token)
    found = next(each["Id"] for each in listed if service in (each["Id"], each["Name"]))
    return {each["Name"]: each for each in desk.studio.send("GET", f"{path}/{found}/endpoints", token)}


def _scores(desk: Desk, endpoint: dict[str, Any]) -> dict[str, Any]:
    base = endpoint["ApiLocation"].removeprefix(desk.studio.url)
    swagger = desk.studio.send("GET", f"{base}/swagger.json", "")
    body = swagger["definitions"]["ExecutionRequest"]["example"]
    reply = desk.studio.send("POST", f"{base}/execute?api-version=2.0&format=swagger", endpoint["PrimaryKey"], body)
    results: dict[str, Any] = reply["Results"]
    return results


def _told(target: dict[str, Any]) -> str:
    return " ".join([*(reason["text"] for reason in target["reasons"]), target["remedy"]])


# -- several models


def test_of_two_models_of_one_service_one_moves_and_the_other_is_kept(clinic: Any) -> None:
    """Classic and New alike: whatever a service does with what a PATCH leaves out, nothing is left out."""

    def models(first: str, second: str) -> dict[str, Any]:
        return {"models": [_use(first, FIRST), _use(second, SECOND)]}

    def write(first: str, second: str) -> None:
        new = {"name": "two-opinions", "kind": "NewWebService", "resourceId": NEW_SERVICE}
        _write(clinic, {"name": "pair", "webService": PAIR, **models(first, second)}, {**new, **models(first, second)})

    write("two", "two")
    clinic.run("--yes")
    before = _scores(clinic, _endpoints(clinic, WORKSPACE, PAIR)["pair"])
    assert before["first"] == before["second"]

    write("two", "one")
    plan = clinic.plan()
    assert {"pair": [True, False], "two-opinions": [True, False]} == {
        target["name"]: [model["in_sync"] for model in target["models"]] for target in plan["changes"]
    }
    clinic.run("--yes")

    endpoint = _endpoints(clinic, WORKSPACE, PAIR)["pair"]
    after = _scores(clinic, endpoint)
    assert after["first"] == before["first"]
    assert after["second"] != before["second"]
    assert 1 == endpoint["Description"].count("[reconciler: opinion@two ")
    assert 1 == endpoint["Description"].count(", opinion@one ")
    assert "in sync: 2 targets" in clinic.run("--dry-run", "--detailed-exitcode").stdout


# -- refresh


def test_a_refresh_after_a_republish_keeps_the_model(clinic: Any) -> None:
    name = "fresh"
    _write(
        clinic, {"name": name, "workspace": "fabrikam", "webService": TWINS[0], "refresh": True, "model": _use("two")}
    )
    clinic.run("--yes")
    served = _scores(clinic, _endpoints(clinic, FABRIKAM, TWINS[0])[name])

    clinic.studio.send("POST", f"/_studio/republish/{FABRIKAM}/{TWINS[0]}", "")
    plan = clinic.plan()
    done = clinic.run("--yes")

    if SETTINGS.model_version == "absent":
        (target,) = plan["in_sync"]
        assert "does not show whether the endpoint is older" in _told(target)
    else:
        (target,) = plan["changes"]
        assert ["refresh", "repoint", "verify"] == [step["action"] for step in target["steps"]]
        assert "Done: 1 converged" in done.stdout
    assert served == _scores(clinic, _endpoints(clinic, FABRIKAM, TWINS[0])[name])
    assert "in sync: 1 target " in clinic.run("--dry-run", "--detailed-exitcode").stdout


# -- deletion


def test_an_endpoint_is_deleted_and_made_again_and_what_is_not_ours_is_refused(clinic: Any) -> None:
    ours, foreign = {"name": "ours", "model": _use("one")}, {"name": "clinica"}
    _write(clinic, ours)
    clinic.run("--yes")
    _write(clinic, {"name": "ours", "state": "absent"}, {**foreign, "state": "absent"})

    plan = clinic.plan("--detailed-exitcode", code=3)
    done = clinic.run("--yes", code=3)

    assert ["ours"] == [target["name"] for target in plan["changes"]]
    assert ["clinica"] == [target["name"] for target in plan["refused"]]
    assert "by hand" in _told(plan["refused"][0])
    assert "no ownership marker" in done.stdout
    assert {"clinica"} == _endpoints(clinic, WORKSPACE, SINGLE).keys() & {"ours", "clinica"}
    assert ["clinica"] == [target["name"] for target in clinic.status()["targets"]]

    _write(clinic, ours)
    clinic.run("--yes")
    _write(clinic, {"name": "ours", "state": "absent"})
    # As after a run that was killed between the DELETE and its record.
    path = clinic.studio.path_of("ours")
    clinic.studio.send("DELETE", path, clinic.studio.token())
    assert "in sync: 1 target" in clinic.run("--yes").stdout
    assert "ours" not in {target["name"] for target in clinic.status()["targets"]}
    assert "deleted, as the spec wants" in clinic.run("history", "ours").stdout


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_deletion_whose_reply_was_lost_is_looked_at_again(clinic: Any, drop: str) -> None:
    name = f"lost{drop}"
    _write(clinic, {"name": name, "model": _use("one")})
    clinic.run("--yes")
    _write(clinic, {"name": name, "state": "absent"})
    # As often as our client repeats a DELETE by itself.
    rules = [{"operation": "management.deleteEndpoint", "times": 4, "drop": drop}]
    clinic.studio.send("POST", "/_studio/faults", "", {"rules": rules})

    done = clinic.run("--yes")

    clinic.studio.send("DELETE", "/_studio/faults", "")
    assert "deleted; it served opinion@one" in done.stdout
    assert name not in _endpoints(clinic, WORKSPACE, SINGLE)


@pytest.mark.parametrize("told", [True, False], ids=["as its record tells", "as its note alone tells"])
def test_what_another_run_wants_again_is_not_deleted_by_an_older_plan(clinic: Any, told: bool) -> None:
    """The other run may have the same store, or one of its own: then only what is live can tell."""
    name = f"wanted{told}".lower()
    present = {"name": name, "model": _use("one")}
    _write(clinic, present)
    clinic.run("--yes")

    async def deletion_overtaken() -> Outcome:
        _write(clinic, {"name": name, "state": "absent"})
        fleet, cloud = load_fleet([clinic.home / "specs"]), load_cloud(clinic.cloud_file)
        with Store.open(f"sqlite:///{clinic.store}", clock=lambda: datetime.now(UTC)) as store:
            async with Reconciliation(fleet, cloud, store, SecretResolver({}, cloud.env_file)) as one:
                plan = await one.plan()
                assert [name] == [target.name for target in plan.changes]
                _write(clinic, {**present, "model": _use("two")})
                elsewhere = () if told else ("--store", "sqlite:///elsewhere.db")
                await asyncio.to_thread(clinic.reconcile, "--yes", *elsewhere)
                (outcome,) = (await one.apply(plan)).outcomes
                return outcome

    outcome = asyncio.run(deletion_overtaken())

    assert Result.REFUSED is outcome.result
    assert "opinion@two" in outcome.text
    assert "opinion@two" in _endpoints(clinic, WORKSPACE, SINGLE)[name]["Description"]


# -- workspaces, regions, services


def test_endpoints_of_two_workspaces_in_two_regions_converge_in_one_run(clinic: Any) -> None:
    _write(
        clinic,
        {"name": "texas", "webService": PAIR, "models": [_use("one", FIRST), _use("two", SECOND)]},
        {"name": "holland", "workspace": "fabrikam", "webService": PAIR, "models": [_use("two", FIRST)]},
    )

    assert "Done: 2 converged" in clinic.run("--yes").stdout

    assert "opinion@one" in _endpoints(clinic, WORKSPACE, PAIR)["texas"]["Description"]
    assert "opinion@two" in _endpoints(clinic, FABRIKAM, PAIR)["holland"]["Description"]


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (
            "Southeast Asia",
            ("is not in Southeast Asia", "The workspace is in West Europe", "Write region: West Europe"),
        ),
        ("West Eurpe", ("has no region 'West Eurpe', did you mean 'West Europe'?", "Correct spec.region")),
    ],
)
def test_a_wrong_region_is_recognised_and_the_right_one_is_named(clinic: Any, region: str, said: tuple[str]) -> None:
    _write(
        clinic,
        {"name": "holland-too", "workspace": "fabrikam", "webService": PAIR, "models": [_use("two", FIRST)]},
        {"name": "texas-too", "webService": PAIR, "models": [_use("two", FIRST)]},
    )
    clinic.edit("region: West Europe", f"region: {region}", "contoso.yaml")

    plan = clinic.plan(code=1)

    assert ["texas-too"] == [target["name"] for target in plan["changes"]]
    (blocked,) = plan["blocked"]
    assert blocked["name"] == "holland-too"
    for words in said:
        assert words in _told(blocked)


def _by_hyphens(identifier: str) -> str:
    return str(uuid.UUID(identifier)).upper()


@pytest.mark.parametrize("spelling", [str, _by_hyphens])
def test_of_two_services_of_one_name_one_is_meant_by_its_id(clinic: Any, spelling: Callable[[str], str]) -> None:
    spec = {"workspace": "fabrikam", "model": _use("two")}
    _write(clinic, {"name": "twin", "webService": SINGLE, **spec})
    (blocked,) = clinic.plan(code=1)["blocked"]
    assert f"2 web services of workspace fabrikam are named {SINGLE}" in _told(blocked)
    assert all(twin in _told(blocked) for twin in TWINS)

    _write(clinic, {"name": "twin", "webService": spelling(TWINS[1]), **spec})
    (target,) = clinic.plan()["changes"]
    assert f"{FABRIKAM}/{TWINS[1]}/twin" == target["identity"]


def test_a_service_that_is_named_by_its_name_and_by_its_id_is_one_service(clinic: Any) -> None:
    services = clinic.studio.send("GET", f"/workspaces/{WORKSPACE}/webservices", clinic.studio.token())
    (service,) = [each["Id"] for each in services if each["Name"] == SINGLE]
    spec = {"endpoint": "twice", "model": _use("two")}
    _write(clinic, {"name": "by-name", **spec}, {"name": "by-id", "webService": service, **spec})

    blocked = clinic.plan(code=1)["blocked"]

    assert ["by-id", "by-name"] == [target["name"] for target in blocked]
    assert all("undo each other" in _told(target) for target in blocked)
