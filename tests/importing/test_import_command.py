"""`reconcile import`: spec files for what is live, over which the plan is empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.storage.blob import BlobServiceClient

from reconciler.cli.commands import import_live as imports
from tests.support.studio import SETTINGS, SHOWS_LOCATION, WORKSPACE, Desk, running

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
NEW_WORKSPACE = ("--workspace", f"contoso={WORKSPACE}", "--region", "South Central US")
WHOLE = ("import", *NEW_WORKSPACE, "--subscription", SUBSCRIPTION, "--out", "imported", "--verify")
INITIAL = "initial/breast-cancer.ilearner"


def documents(desk: Desk) -> dict[str, dict[str, Any]]:
    """What was imported, by kind and name."""
    files = sorted((desk.home / "imported").iterdir())
    found = [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in found}


def test_the_plan_over_what_was_imported_is_empty(bystander: Desk) -> None:
    done = bystander.run(*WHOLE)

    assert "imported 2 Classic endpoints, 1 New web service" in done.stdout
    assert "verified: the plan over the files is empty, 3 targets in sync" in done.stdout
    found = documents(bystander)
    clinic = found["ClassicEndpoint breast-cancer-clinica"]["spec"]
    assert ("Clinic A", "Low", "None") == (clinic["description"], clinic["throttleLevel"], clinic["diagnostics"])
    assert SHOWS_LOCATION == ("model" in clinic)
    assert "model" in found["NewWebService breast-cancer"]["spec"]
    bystander.run("--dry-run", "--detailed-exitcode", "--specs", "imported")
    bystander.run("fmt", "--check", "imported")


def test_no_secret_is_in_the_files(bystander: Desk) -> None:
    bystander.run(*WHOLE)
    text = "".join(file.read_text() for file in (bystander.home / "imported").iterdir())
    assert "token: {env: CONTOSO_WORKSPACE_TOKEN}" in text
    # Paths, ids and names may be named; keys and tokens are those that look random.
    secrets = [
        each for name, each in bystander.studio.secrets().items() if name.endswith(("TOKEN", "STORAGE", "SECRET"))
    ]
    assert secrets
    assert not [secret for secret in secrets if secret in text]
    assert "AccountKey" not in text


def test_files_that_are_there_are_written_over_only_by_force(bystander: Desk) -> None:
    bystander.run(*WHOLE)
    changed = bystander.home / "imported" / "models.yaml"
    changed.write_text("# mine\n")
    done = bystander.run(*WHOLE, code=1)
    assert "existing files would be overwritten: imported/" in done.stderr
    assert "models.yaml" in done.stderr
    assert "# mine\n" == changed.read_text()
    bystander.run(*WHOLE, "--force")
    assert "# mine\n" != changed.read_text()


def test_what_the_specs_manage_already_is_left_out(bystander: Desk) -> None:
    """The example fleet has a document for each target that there is."""
    group = ("--subscription", SUBSCRIPTION, "--resource-group", "contoso-ml")
    done = bystander.run("import", "--workspace", "contoso", *group, "--out", "imported", "--verify")
    assert "skipped 3 targets that the specs have already" in done.stdout
    assert not (bystander.home / "imported").exists() or not list((bystander.home / "imported").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--workspace", "fabrikam"), "documents: contoso"),
        (("--workspace", WORKSPACE), "Add --region"),
        (("--workspace", "contoso=abc"), "is not a workspace id"),
        (("--workspace", f"my space={WORKSPACE}", "--region", "South Central US"), "name is not a valid name"),
        ((*NEW_WORKSPACE, "--token-env", "NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE"),
        ((*NEW_WORKSPACE, "--resource-group", "contoso-ml"), "--subscription"),
        ((*NEW_WORKSPACE, "--subscription", "contoso"), "is not a subscription id (a GUID)"),
        ((), "--workspace"),
    ],
)
def test_a_mistake_on_the_command_line_is_said_with_its_remedy(
    bystander: Desk, arguments: tuple[str, ...], said: str
) -> None:
    assert said in bystander.run("import", *arguments, "--out", "imported", code=1).stderr
    assert not (bystander.home / "imported").exists()


def test_what_can_not_be_listed_stops_nothing_of_the_rest(bystander: Desk) -> None:
    done = bystander.run("import", *NEW_WORKSPACE, "--subscription", SUBSCRIPTION[:-1] + "0", *WHOLE[-3:], code=1)
    assert "imported 2 Classic endpoints, 0 New web services" in done.stdout
    assert "verified" in done.stdout
    assert "not imported: list New web services of subscription" in done.stderr
    assert "SubscriptionNotFound" in done.stderr


def test_documents_of_the_specs_are_not_written_over_even_by_force(bystander: Desk) -> None:
    """They are not written again, so that they would be lost."""
    first = bystander.run("import", *NEW_WORKSPACE, "--out", "imported")
    assert "imported 2 Classic endpoints" in first.stdout
    path = bystander.home / "imported" / "classic-breast-cancer.yaml"
    path.write_text(path.read_text().replace("endpoint: clinica", "endpoint: other"))

    again = ("import", "--specs", "imported", "--workspace", "contoso", "--out", "imported", "--force")
    done = bystander.run(*again, code=1)

    # Where a service shows its location, a file of models was written as well, and would lose its own.
    assert re.search(r"classic-breast-cancer\.yaml(, \S+)* would lose documents that --specs needs", done.stderr)
    assert "endpoint: other" in path.read_text()


def test_a_converged_fleet_is_imported_with_the_versions_that_it_serves(converged: Desk) -> None:
    """Our note and the store tell them; without the store, the place that a service shows."""
    converged.run(*WHOLE)
    found = documents(converged)
    clinic, new = (
        found[name]["spec"] for name in ("ClassicEndpoint breast-cancer-clinica", "NewWebService breast-cancer")
    )
    assert "2026-10" == clinic["model"]["version"] == new["model"]["version"]
    assert "Clinic A" == clinic["description"]
    assert "2026-10" in found["Model breast-cancer"]["spec"]["versions"]

    converged.run(*WHOLE, "--force", "--store", "other.db")
    found = documents(converged)
    assert "2026-10" == found["NewWebService breast-cancer"]["spec"]["model"]["version"]
    assert SHOWS_LOCATION == ("model" in found["ClassicEndpoint breast-cancer-clinica"]["spec"])


def test_an_endpoint_made_by_hand_is_adopted_by_the_first_converge_and_the_plan_says_so_first(fresh: Desk) -> None:
    fresh.run(*WHOLE)
    with BlobServiceClient.from_connection_string(fresh.studio.secrets()["CONTOSO_STORAGE"]) as account:
        models = account.get_container_client("models")
        models.upload_blob("ours/1.ilearner", models.download_blob(INITIAL).readall())
        base = models.url.removesuffix("models")
    file = fresh.home / "imported" / "classic-breast-cancer.yaml"
    (clinic,) = yaml.safe_load_all(file.read_text())
    clinic["spec"]["model"] = {"resource": "Breast Cancer [trained model]", "name": "ours", "version": "1"}
    location = {"baseLocation": base, "relativeLocation": "models/ours/1.ilearner"}
    ours = {
        "apiVersion": "reconciler/v1",
        "kind": "Model",
        "metadata": {"name": "ours"},
        "spec": {"workspace": "contoso", "versions": {"1": {"location": location}}},
    }
    file.write_text(yaml.safe_dump_all([clinic, ours]))

    plan = fresh.plan("--specs", "imported")
    (change,) = plan["changes"]
    assert "adopt" in {reason["code"] for reason in change["reasons"]}
    assert "[reconciler:" not in fresh.studio.endpoint("clinica")["Description"]
    fresh.run("--yes", "--specs", "imported")
    assert fresh.studio.endpoint("clinica")["Description"].startswith("Clinic A [reconciler: ours@1 ")
    fresh.run("--dry-run", "--detailed-exitcode", "--specs", "imported")


def test_what_was_imported_is_taken_over_by_the_first_converge_and_may_then_be_deleted(fresh: Desk) -> None:
    """Its plan is empty but for our note, which it tells of first; what carries the note is ours to delete."""
    fresh.run(*WHOLE)
    imported = ("--specs", "imported")
    plan = fresh.plan(*imported)
    names = {"breast-cancer-clinica", "breast-cancer"}
    assert ([], []) == (plan["changes"], plan["drift"])
    assert names <= {target["name"] for target in plan["in_sync"] if target["steps"]}
    fresh.run("--dry-run", "--detailed-exitcode", *imported)
    assert "--yes" in fresh.run(*imported, code=4).stderr
    assert "Clinic A" == fresh.studio.endpoint("clinica")["Description"]

    done = fresh.run("--yes", *imported)
    assert "breast-cancer-clinica: adopted: " in done.stdout
    note = "breast-cancer@imported" if SHOWS_LOCATION else "managed"
    assert fresh.studio.endpoint("clinica")["Description"].startswith(f"Clinic A [reconciler: {note}")
    after = fresh.plan(*imported)
    assert not [target for target in after["in_sync"] if target["steps"]]
    assert "No changes were made" not in fresh.run(*imported).stderr

    for name, kind in (("classic-breast-cancer.yaml", "endpoint"), ("new-contoso-ml.yaml", "resourceId")):
        file = fresh.home / "imported" / name
        (document,) = yaml.safe_load_all(file.read_text())
        spec = document["spec"]
        kept = {field: spec[field] for field in ("workspace", "webService", kind) if field in spec}
        file.write_text(yaml.safe_dump({**document, "spec": {**kept, "state": "absent"}}))
    deleted = fresh.plan(*imported)
    assert names == {target["name"] for target in deleted["changes"]}
    fresh.run("--yes", *imported)
    assert not fresh.plan(*imported)["changes"]


def test_a_plan_that_is_not_empty_is_shown_and_is_a_failure(fresh: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody changes an endpoint between the reading and the proof."""
    write = imports._write

    def meanwhile(*arguments: Any) -> Any:
        fresh.studio.change("clinica", Description="Moved")
        return write(*arguments)

    monkeypatch.setattr(imports, "_write", meanwhile)
    done = fresh.run(*WHOLE, code=1)
    assert "not verified: the plan over the files is not empty" in done.stderr
    assert "breast-cancer-clinica" in done.stderr


# -- a fleet of 1,000

SERVICES, ENDPOINTS = 20, 50


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Desk]:
    """A Studio with 1,000 endpoints in 20 services, and 20 New web services."""
    source = (Path(imports.__file__).parents[2] / "emulator" / "config" / "default_studio.yaml").read_text()
    content = yaml.safe_load(source)
    content["workspaces"][0]["services"] += [
        {
            "name": f"Ward {service} [predictive exp.]",
            "experiment": "Diabetes [predictive exp.]",
            "endpoints": [{"name": f"ward{number:03}", "description": f"Ward {number}"} for number in range(ENDPOINTS)],
        }
        for service in range(SERVICES)
    ]
    content["subscriptions"][0]["resourceGroups"][0]["webServices"] += [
        {"name": f"Ward{service}", "experiment": "Diabetes [predictive exp.]"} for service in range(SERVICES)
    ]
    (tmp_path / "studio.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "home").mkdir()
    with running(tmp_path / "studio", "--studio", str(tmp_path / "studio.yaml")) as studio:
        yield Desk(tmp_path / "home", studio)


def test_a_fleet_of_1000_is_imported_by_one_list_a_service_and_its_plan_is_empty(large: Desk) -> None:
    done = large.run(*WHOLE[:-1])
    assert f"imported {SERVICES * ENDPOINTS + 2:,} Classic endpoints, " in done.stdout
    paths = [request["path"].partition("?")[0] for request in large.studio.requests()]
    lists = [path for path in paths if path.endswith("/endpoints")]
    assert SERVICES + 5 == len(lists) == len(set(lists))
    # One endpoint of a service says what can be updated in it, where the list does not.
    assert len([path for path in paths if "/endpoints/" in path]) == (
        0 if SETTINGS.show_resources_in_list else SERVICES + 5
    )
    assert SERVICES + 2 == len([path for path in paths if "/webServices/" in path])

    targets = SERVICES * ENDPOINTS + 2 + SERVICES + 1  # The New training service is none.
    done = large.run(*WHOLE, "--force")
    assert f"verified: the plan over the files is empty, {targets:,} targets in sync" in done.stdout
    kinds = [name.partition(" ")[0] for name in documents(large)]
    assert targets == kinds.count("ClassicEndpoint") + kinds.count("NewWebService")
    large.run("fmt", "--check", "imported")
