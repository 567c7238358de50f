"""What users get wrong: each mistake is named with its place and its remedy, and stops nothing that is right."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

GROUPS = ("changes", "drift", "held", "blocked", "in_sync")


def _statuses(plan: dict[str, Any]) -> dict[str, str]:
    return {target["name"]: target["status"] for group in GROUPS for target in plan[group]}


def _blocked(plan: dict[str, Any]) -> dict[str, str]:
    """Why each blocked target is blocked, with the remedy."""
    return {
        target["name"]: " ".join([*(reason["text"] for reason in target["reasons"]), target["remedy"]])
        for target in plan["blocked"]
    }


def _own_cloud(desk: Any, change: Callable[[str], str] = str, *, without: str = "") -> None:
    """Give the user a cloud file and what it names, in their directory."""
    desk.cloud_file = desk.home / "cloud.json"
    ca_file = json.loads(desk.studio.cloud_file.read_text())["caFile"]
    shutil.copy(desk.studio.cloud_file.parent / ca_file, desk.home)
    desk.cloud_file.write_text(change(desk.studio.cloud_file.read_text()))
    lines = desk.studio.env_file.read_text().splitlines()
    kept = [line for line in lines if not without or without not in line]
    (desk.home / "emulator.env").write_text("\n".join(kept) + "\n")


# -- sign-in and secrets


def test_a_wrong_workspace_token_blocks_the_targets_of_that_workspace_alone(
    bystander: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FABRIKAM_TOKEN", "not-the-token-of-fabrikam")
    specs = bystander.home / "specs"
    text = (specs / "contoso.yaml").read_text()
    text = text.replace("name: contoso", "name: fabrikam").replace("CONTOSO_WORKSPACE_TOKEN", "FABRIKAM_TOKEN")
    (specs / "fabrikam.yaml").write_text(text)
    bystander.edit('workspace: contoso\n  webService: "Diab', 'workspace: fabrikam\n  webService: "Diab')

    plan = bystander.plan(code=1)

    assert ["diabetes-progress"] == [target["name"] for target in plan["blocked"]]
    assert "Workspace fabrikam: " in _blocked(plan)["diabetes-progress"]
    assert "401" in _blocked(plan)["diabetes-progress"]
    assert {"breast-cancer-new", "clinic-a", "clinic-b"} == {target["name"] for target in plan["changes"]}
    assert "not-the-token" not in "".join(bystander.outputs)


@pytest.mark.parametrize(
    ("variable", "asks", "blocked"),
    [
        # The New service too: its version cannot be trained without the workspace.
        (
            "CONTOSO_WORKSPACE_TOKEN",
            "Workspace contoso, spec.token",
            {"breast-cancer-new", "clinic-a", "clinic-b", "diabetes-progress"},
        ),
        (
            "CONTOSO_STORAGE",
            "Workspace contoso, spec.storage.connectionString",
            {"breast-cancer-new", "clinic-a", "clinic-b", "diabetes-progress"},
        ),
        ("AZURE_CLIENT_SECRET", "cloud local", {"breast-cancer-new"}),
    ],
)
def test_a_missing_secret_is_named_with_who_asks_for_it(
    bystander: Any, variable: str, asks: str, blocked: set[str]
) -> None:
    _own_cloud(bystander, without=variable)

    reasons = _blocked(bystander.plan(code=1))

    assert blocked == reasons.keys()
    for reason in reasons.values():
        assert f"environment variable {variable} (used by {asks}) is not set" in reason


def test_real_credentials_in_the_environment_are_not_what_signs_in(
    bystander: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_AUTHORITY_HOST"):
        monkeypatch.setenv(name, "somebody-s-real-one")

    assert {} == _blocked(bystander.plan())


def test_a_wrong_connection_string_is_named_by_its_field_and_not_repeated(
    bystander: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTOSO_STORAGE", "AccountNme=contosostore;AccountKy=c2VjcmV0")

    reasons = _blocked(bystander.plan(code=1))

    assert 4 == len(reasons)
    assert all("Workspace contoso, spec.storage.connectionString" in reason for reason in reasons.values())
    assert "c2VjcmV0" not in "".join(bystander.outputs)


# -- where the service and the store are


@pytest.mark.parametrize(
    ("cloud", "content", "said"),
    [
        ("nowhere.json", None, "no cloud file 'nowhere.json'"),
        ("publik", None, "did you mean 'public'?"),
        ("cut.json", '{"formatVersion": "1.0",', "cut.json is not JSON: line 1"),
        ("empty.json", "{}", "formatVersion is missing"),
    ],
)
def test_a_cloud_that_there_is_not_is_one_line(bystander: Any, cloud: str, content: str | None, said: str) -> None:
    if content is not None:
        (bystander.home / cloud).write_text(content)
    bystander.cloud_file = Path(cloud)

    done = bystander.run("--dry-run", code=1)

    assert said in done.stderr
    assert 1 == len(done.stderr.strip().splitlines())
    assert "" == done.stdout


def test_a_service_that_is_down_is_said_to_be_unreachable(bystander: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # Bound and not listening: whoever connects is refused.
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        secure = json.loads(bystander.studio.cloud_file.read_text())["resourceManagerUrl"]
        down = {bystander.studio.url: f"http://{address}", secure: f"https://{address}"}
        _own_cloud(bystander, lambda text: reduce(lambda text, url: text.replace(url, down[url]), down, text))

        reasons = _blocked(bystander.plan(code=1))

    assert 4 == len(reasons)
    assert all(f"no connection to {address}" in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("specs/models.yaml", "file is not a database"),
        ("specs/models.yaml/state.db", "Not a directory"),
        ("postgres://db/state", "postgres:// is not supported"),
    ],
)
def test_a_store_that_can_not_be_one_is_refused_before_anything_is_done(bystander: Any, store: str, said: str) -> None:
    done = bystander.run("--yes", "--store", store, code=1)

    assert said in done.stderr
    assert 1 == len(done.stderr.strip().splitlines())


def test_a_wrong_command_line_never_ends_like_a_pending_change(bystander: Any) -> None:
    """2 means that changes are pending; what parses command lines would end with it too."""
    for wrong in (["--bogus"], ["--yes", "--detailed-exitcode"], ["--output", "yml"], ["--probes", "-1"], ["nonsense"]):
        assert "Error: " in bystander.run(*wrong, code=1).stderr


# -- what is named in the specs and does not exist


def test_training_data_that_are_missing_or_empty_block_the_targets_that_want_them(bystander: Any) -> None:
    data = bystander.home / "specs" / "data" / "breast-cancer-2026-10.csv"
    bystander.edit('name: diabetes, version: "2026-10"', 'name: diabetes, version: "2026-13"')

    data.write_text("")
    empty = _blocked(bystander.plan(code=1))
    data.unlink()
    missing = _blocked(bystander.plan(code=1))

    assert "Training input data/breast-cancer-2026-10.csv is empty" in empty["clinic-a"]
    assert "Training input data/breast-cancer-2026-10.csv: No such file" in missing["clinic-a"]
    assert "(specs/data/breast-cancer-2026-10.csv)" in missing["clinic-a"], "where it was looked for"
    assert "blob datasets/diabetes-2026-13.csv does not exist" in missing["diabetes-progress"]


def test_what_does_not_exist_is_named_beside_what_does_and_the_others_come_home(fresh: Any) -> None:
    """Three mistakes in one tree, of both kinds of target: the fourth target is not touched by them."""
    text = (fresh.home / "specs" / "endpoints.yaml").read_text()
    wrong = text.replace(
        '{resource: "Breast Cancer [trained model]", name: breast-cancer, version',
        "{resource: X, name: breast-cancer, version",
        1,
    )
    wrong = wrong.replace('"Diabetes [predictive exp.]"', '"Diabets [predictive exp.]"')
    wrong = wrong.replace("webServices/BreastCancer", "webServices/BreastCancr")
    (fresh.home / "specs" / "endpoints.yaml").write_text(wrong)

    reasons = _blocked(fresh.plan(code=1))
    done = fresh.run("--yes", code=5)

    assert 'It has "Breast Cancer [trained model]"' in reasons["clinic-b"]
    assert "Did you mean Diabetes [predictive exp.]?" in reasons["diabetes-progress"]
    assert "BreastCancr" in reasons["breast-cancer-new"]
    assert "does not exist" in reasons["breast-cancer-new"]
    assert "Partly converged: 1 converged, 3 failed" in done.stdout
    status = {target["name"]: target for target in fresh.status()["targets"]}
    assert "converged" == status["clinic-a"]["last_outcome"]
    for name, reason in reasons.items():
        assert "failed" == status[name]["last_outcome"]
        assert reason.split(" ")[0] in status[name]["last_message"]

    (fresh.home / "specs" / "endpoints.yaml").write_text(text)
    assert "Done: 1 in sync, 3 converged" in fresh.run("--yes").stdout


def test_training_by_a_service_or_an_input_that_there_is_not_can_be_corrected_under_the_same_label(
    converged: Any,
) -> None:
    """No job ran, so nothing was made under the label that could never change again."""
    specs = converged.home / "specs" / "models.yaml"
    right = specs.read_text()
    converged.edit('name: diabetes, version: "2026-10"', 'name: diabetes, version: "2026-11"')
    wrong_texts = {
        '"Diabetes [training exp.]"': ('"Diabets [training exp.]"', "Did you mean Diabetes [training exp.]?"),
        '{webService: "Diabetes [training exp.]"}': (
            '{webService: "Diabetes [training exp.]", endpoint: defautl}',
            "has no endpoint defautl. Did you mean default?",
        ),
        "input1: {blob": ("inptu1: {blob", 'unknown input "inptu1" (the service has "input1"). Did you mean "input1"?'),
    }
    for found, (wrong, said) in wrong_texts.items():
        specs.write_text(right.replace(found, wrong))
        done = converged.run("--yes", code=5)
        assert said in done.stdout
        assert said in converged.run("status", "diabetes-progress").stdout
        assert "3 in sync, 1 failed" in done.stdout
    assert 2 == len(converged.studio.jobs())

    specs.write_text(right)
    assert "converged" in converged.run("--yes").stdout
    assert "diabetes@2026-11" in converged.studio.endpoint("progress")["Description"]
    assert 3 == len(converged.studio.jobs())


# -- versions and their recipes


def test_a_recipe_changed_under_the_same_label_is_refused_with_both_fingerprints(converged: Any) -> None:
    known = {version["model"]: version["fingerprint"] for version in converged.status()["versions"]}
    data = converged.home / "specs" / "data" / "breast-cancer-2026-10.csv"
    rows = data.read_text().splitlines(keepends=True)
    data.write_text("".join(rows[:-1]))

    plan = converged.plan(code=1)
    done = converged.run("--yes", code=5)

    reasons = _blocked(plan)
    assert {"breast-cancer-new", "clinic-a", "clinic-b"} == reasons.keys()
    (described,) = {version["fingerprint"] for version in plan["versions"] if version["model"] == "breast-cancer"}
    assert described != known["breast-cancer"]
    for fingerprint in (described, known["breast-cancer"]):
        assert all(fingerprint[:12] in reason for reason in reasons.values())
    assert "a new version label" in reasons["clinic-a"]
    assert "Partly converged: 1 in sync, 3 failed" in done.stdout
    assert 2 == len(converged.studio.jobs())
    data.write_text("".join(rows))
    assert "in sync: 4 targets" in converged.run("--yes").stdout


def test_a_job_that_fails_is_told_in_the_services_words_and_its_data_can_be_corrected(converged: Any) -> None:
    """A version that never was usable is not bound to its recipe; each attempt has a path of its own."""
    data = converged.home / "specs" / "data"
    good = (data / "breast-cancer-2026-11.csv").read_text()
    spoiled = data / "breast-cancer-2026-12.csv"
    spoiled.write_text("".join(good.splitlines(keepends=True)[:4]))
    said = "Error 0021: Number of rows in input dataset is 3"
    converged.edit('version: "2026-10"         ', 'version: "2026-12"         ')

    for attempt in (1, 2):
        done = converged.run("--yes", code=5)
        assert said in done.stdout
        assert "3 in sync, 1 failed" in done.stdout
        status = converged.run("status").stdout
        assert status.count(said) == 2, "of the target and the version"
        assert "a retry will not help" in status
        begun = [line for line in _history(converged, "breast-cancer@2026-12") if "training started" in line]
        assert attempt == len(begun)
        failed = "failed once" if attempt == 1 else "failed 2 times in a row"
        assert status.count(f"{failed}, next attempt after ") == 2, "of the target and the version"
    assert "clinic-a" in status
    assert "breast-cancer@2026-10" in converged.studio.endpoint("clinica")["Description"]

    spoiled.write_text(good)
    (train,) = [step for version in converged.plan()["versions"] for step in version["steps"]]
    assert "Attempt 2 failed" in train["reasons"][0]["text"]
    assert "Done: 3 in sync, 1 converged" in converged.run("--yes").stdout

    version = json.loads(converged.run("status", "breast-cancer@2026-12", "--output", "json").stdout)["versions"][0]
    assert ("usable", 3) == (version["state"], version["attempt"])
    assert (0, None) == (version["failures"], version["next_attempt_at"])
    assert version["relative_location"].endswith(f"{version['fingerprint']}.3.ilearner")


def _history(desk: Any, subject: str) -> list[str]:
    lines: list[str] = desk.run("history", subject).stdout.splitlines()
    return lines


def test_two_labels_with_the_same_content_are_two_versions(converged: Any) -> None:
    data = converged.home / "specs" / "data"
    (data / "breast-cancer-2026-10b.csv").write_bytes((data / "breast-cancer-2026-10.csv").read_bytes())
    converged.edit('version: "2026-10"         ', 'version: "2026-10b"        ')

    done = converged.run("--yes", "--select", "clinic-a")

    assert "not confirmed: the endpoint has the marker; the answers did not change" in done.stdout
    assert "breast-cancer@2026-10b" in converged.studio.endpoint("clinica")["Description"]
    versions = [version for version in converged.status()["versions"] if version["model"] == "breast-cancer"]
    assert 2 == len({version["relative_location"] for version in versions})
    assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout


def test_a_ready_made_version_is_served_without_training_and_not_judged_without_metrics(converged: Any) -> None:
    """Its artifact lies where the spec says; it comes with no evaluation, so a gate cannot let it pass by itself."""
    location = converged.studio.resource("", "models/initial/breast-cancer.ilearner")["Location"]
    ready = (
        "  versions:\n    first:\n      location:\n"
        f"        baseLocation: {location['BaseLocation']}\n        relativeLocation: {location['RelativeLocation']}\n"
    )
    converged.edit(
        "  gates:\n    - {metric: AUC, min: 0.95}",
        f"{ready}  gates:\n    - {{metric: AUC, min: 0.95}}",
        file="models.yaml",
    )
    converged.edit('name: breast-cancer, version: "2026-10"', "name: breast-cancer, version: first")

    held = converged.plan("--detailed-exitcode", code=4)["held"]
    assert {"breast-cancer-new", "clinic-b"} == {target["name"] for target in held}
    assert {"inconclusive"} == {gate["outcome"] for target in held for gate in target["gates"]}
    assert "inconclusive" in converged.run("--yes", "--output", "markdown", code=4).stdout

    done = converged.run("--yes", "--force", "gate")
    assert "Done: 2 in sync, 2 converged" in done.stdout
    assert 2 == len(converged.studio.jobs())
    assert converged.studio.answers("clinicb") != converged.studio.answers("clinica")
    assert "breast-cancer@first" in converged.studio.endpoint("clinicb")["Description"]
    assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout


# -- the tree as a whole


def test_six_mistakes_in_a_tree_are_six_messages_with_their_places(bystander: Any) -> None:
    """Also by the command that would have converged: it says the same, and asks nobody anything."""
    specs = bystander.home / "specs"
    bystander.edit("container: models", "contaner: models", file="contoso.yaml")
    bystander.edit(
        "token: {env: CONTOSO_WORKSPACE_TOKEN} ", "token: s3cr3t-l1teral-in-the-spec        ", file="contoso.yaml"
    )
    bystander.edit("{metric: AUC, min: 0.95}", "{metric: AUC, min: high}", file="models.yaml")
    bystander.edit(
        "timeout: 30m\n  gates:\n    - {metric: Coeff",
        "timeout: soon\n  gates:\n    - {metric: Coeff",
        file="models.yaml",
    )
    bystander.edit("name: diabetes, version", "name: diabets, version")
    bystander.edit("  name: clinic-b\n", "  name: clinic-a\n")
    sent = len(bystander.studio.requests())

    done = bystander.reconcile("validate", code=1)

    lines = [line for line in done.stderr.splitlines() if line.startswith("specs/")]
    assert "6 errors" in done.stderr
    places = {}
    for line in lines:
        file, row, column, field, _ = line.split(":", 4)
        assert int(row) > 0
        assert int(column) > 0
        places.setdefault(Path(file).name, []).append(field.strip())
    assert {"contoso.yaml": 2, "models.yaml": 2, "endpoints.yaml": 2} == {
        file: len(fields) for file, fields in places.items()
    }
    assert "s3cr3t" not in done.stderr
    assert "diabetes" in done.stderr
    assert lines == [
        line.removeprefix("reconcile: ")
        for line in bystander.run("--yes", code=1).stderr.splitlines()
        if line.removeprefix("reconcile: ").startswith("specs/")
    ]
    assert sent == len(bystander.studio.requests())
    assert not bystander.store.parent.exists()
    assert specs.is_dir()


def test_two_documents_that_manage_one_endpoint_are_both_named(bystander: Any) -> None:
    bystander.edit("endpoint: clinicb ", "endpoint: clinica ")

    done = bystander.run("validate", code=1)

    assert "clinic-a" in done.stderr
    assert "clinic-b" in done.stderr


def test_a_tree_without_mistakes_is_counted(bystander: Any) -> None:
    assert "valid: 1 workspace, 2 models, 4 targets" in bystander.run("validate").stdout
