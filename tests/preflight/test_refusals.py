"""What a plan's preflight stops before anything starts: with the number, the limit, the name and the remedy."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.studio import NOT_COPIED, running

_TRAINER = (
    "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/dev"
    "/providers/Microsoft.MachineLearning/webServices/Trainer"
)
_DEV_TEST = """
      - name: dev
        commitmentPlans: [{name: dev, sku: DevTest, used: 0.95}]
        webServices: [{name: Trainer, experiment: "Breast Cancer [training exp.]", commitmentPlan: dev}]
"""
_COPY = f"""
apiVersion: reconciler/v1
kind: NewWebService
metadata: {{{{name: abroad}}}}
spec:
  resourceId: {_TRAINER.replace("/dev/", "/contoso-ml/").replace("Trainer", "Abroad")}
  model: {{{{resource: "Breast Cancer [trained model]", name: breast-cancer, version: "2026-10"}}}}
  copyOf: breast-cancer-new
  location: West Europe
  storage: {{{{account: contosostore, key: {{{{file: ../storage.key}}}}}}}}
  commitmentPlan: {_TRAINER.replace("/dev/", "/contoso-ml/").replace("webServices/Trainer", "commitmentPlans/{plan}")}
"""
READER = "4e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40"
_MORE = """
---
apiVersion: reconciler/v1
kind: ClassicEndpoint
metadata: {name: clinic-c}
spec:
  workspace: contoso
  webService: "Breast Cancer [predictive exp.]"
  endpoint: clinicc
  model: {resource: "Breast Cancer [trained model]", name: breast-cancer, version: "2026-10"}
"""
_READY = """
  versions:
    "2026-10":
      location:
        baseLocation: https://fabrikam.blob.core.windows.net/
        relativeLocation: models/ready.ilearner
        sasToken: {env: READY_SAS}
  gates:
"""


def _told(target: dict[str, Any]) -> str:
    return " ".join([*(reason["text"] for reason in target["reasons"]), target["remedy"]])


def _as_reader(desk: Any) -> None:
    """Sign in as somebody who may read and no more."""
    desk.cloud_file = desk.home / "cloud.json"
    content = json.loads(desk.studio.cloud_file.read_text())
    shutil.copy(desk.studio.cloud_file.parent / content["caFile"], desk.home)
    desk.cloud_file.write_text(json.dumps({**content, "envFile": "reader.env"}))
    secrets = desk.studio.secrets()
    secrets |= {"AZURE_CLIENT_ID": READER, "AZURE_CLIENT_SECRET": secrets["READER_CLIENT_SECRET"]}
    (desk.home / "reader.env").write_text("".join(f"{name}='{value}'\n" for name, value in secrets.items()))


def test_more_endpoints_than_a_free_workspace_may_have_are_not_begun(bystander: Any) -> None:
    bystander.edit("region: South Central US", "region: South Central US\n  tier: free", "contoso.yaml")
    for name in ("throttleLevel: High", "maxConcurrentCalls: 20"):
        text = (bystander.home / "specs" / "endpoints.yaml").read_text()
        (bystander.home / "specs" / "endpoints.yaml").write_text(re.sub(rf"\n  {name}", "", text))
    (bystander.home / "specs" / "more.yaml").write_text(_MORE)

    plan = bystander.plan("--select", "clinic-*", code=1)

    assert (["clinic-c"], ["clinic-a", "clinic-b"]) == (
        [target["name"] for target in plan["blocked"]],
        [target["name"] for target in plan["changes"]],
    )
    told = _told(plan["blocked"][0])
    assert "Breast Cancer [predictive exp.]" in told
    assert "2 endpoints of at most 3, and this plan creates 2 more: 1 of them does not fit" in told
    assert "Delete endpoints" in told


def test_a_free_workspace_has_no_throttle_level_high(bystander: Any) -> None:
    bystander.edit("region: South Central US", "region: South Central US\n  tier: free", "contoso.yaml")

    plan = bystander.plan("--select", "clinic-a", code=1)

    assert "allow only throttleLevel Low" in _told(plan["blocked"][0])


def test_where_nothing_tells_the_kind_of_workspace_it_is_a_warning(bystander: Any) -> None:
    (bystander.home / "specs" / "more.yaml").write_text(_MORE)

    done = bystander.run("--dry-run", "--select", "clinic-*")

    told = " ".join(done.stdout.split())
    assert "if workspace contoso is a free workspace the service refuses more than 3" in told
    assert "tier: standard" in told


def test_who_may_only_read_is_told_before_anything_starts(bystander: Any) -> None:
    _as_reader(bystander)

    plan = bystander.plan(code=1)

    (blocked,) = plan["blocked"]
    assert blocked["name"] == "breast-cancer-new"
    assert "missing permission: Microsoft.MachineLearning/webServices/write" in _told(blocked)
    assert "Ask for Contributor" in blocked["remedy"]
    assert ["clinic-a", "clinic-b", "diabetes-progress"] == [target["name"] for target in plan["changes"]]
    checks = json.loads(bystander.run("doctor", "--output", "json", code=1).stdout)["checks"]
    assert ["permissions"] == [check["name"] for check in checks if check["outcome"] == "failed"]


def test_a_rotated_storage_key_blocks_what_it_would_sign_or_write(
    bystander: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    string = bystander.studio.secrets()["CONTOSO_STORAGE"]
    monkeypatch.setenv("CONTOSO_STORAGE", string.replace("AccountKey=", "AccountKey=AAAA"))

    # Of the two models this one's inputs are files, so that nothing of storage was asked before.
    plan = bystander.plan("--select", "clinic-a", code=1)

    assert "refuses the key (403 AuthenticationFailed)" in _told(plan["blocked"][0])
    assert "rotated" in plan["blocked"][0]["remedy"]
    assert [version["steps"] for version in plan["versions"]] == [[]]
    again = bystander.plan("--select", "clinic-a", code=1)
    assert plan["digest"] == again["digest"]


@pytest.mark.parametrize(
    ("ends_in", "code", "group", "words"),
    [
        (timedelta(days=-1), 1, "blocked", "its SAS ended on"),
        (timedelta(minutes=8), 3, "refused", "and an update may take 15m00s"),
        (timedelta(days=1), 0, "changes", ""),
    ],
)
def test_a_signature_that_ends_before_the_update_does_is_refused_with_its_date(
    bystander: Any,
    monkeypatch: pytest.MonkeyPatch,
    ends_in: timedelta,
    code: int,
    group: str,
    words: str,
) -> None:
    ends = f"{datetime.now(UTC) + ends_in:%Y-%m-%dT%H:%M:%SZ}"
    monkeypatch.setenv("READY_SAS", f"?sv=2021-08-06&sr=b&sp=r&se={ends}&sig=topsecret")
    models = bystander.home / "specs" / "models.yaml"
    first, gates, rest = models.read_text().partition("  gates:\n    - {metric: AUC, min: 0.95}\n")
    assert gates
    models.write_text(
        first
        + _READY.removeprefix("\n").removesuffix("  gates:\n")
        + rest.partition("---")[1]
        + rest.partition("---")[2]
    )

    done = bystander.run("--dry-run", "--output", "json", "--select", "clinic-a", code=code)

    (target,) = json.loads(done.stdout)[group]
    assert words in _told(target)
    if words:
        assert f"{ends[:10]}" in _told(target)
    assert "topsecret" not in done.stdout + done.stderr


def test_jobs_that_a_nearly_spent_dev_test_plan_would_pay_for_are_refused(
    bystander: Any, prepared_state: Path, quick_studio: Path, tmp_path: Path
) -> None:
    studio_file = tmp_path / "studio.yaml"
    studio_file.write_text(quick_studio.read_text().replace("\nprincipal:\n", f"{_DEV_TEST}\nprincipal:\n", 1))
    bystander.edit(
        'classic: {webService: "Breast Cancer [training exp.]"}', f"new: {{resourceId: {_TRAINER}}}", "models.yaml"
    )
    state = tmp_path / "studio"
    shutil.copytree(prepared_state, state, ignore=NOT_COPIED)
    with running(state, "--studio", str(studio_file)) as bystander.studio:
        plan = bystander.plan("--select", "clinic-a", code=3)

        told = _told(plan["refused"][0])
        assert "dev (DevTest)" in told
        assert "0.1 of 2 compute hours and 50 of 1000 transactions are left" in told
        assert "nearly used up" in told
        assert "refilled" in plan["refused"][0]["remedy"]
        # The job needs the training service's key, which nothing else of this plan does.
        permitted = [check["text"] for check in plan["preflight"]["checks"] if check["name"] == "permissions"]
        assert ["Microsoft.MachineLearning/webServices/listKeys/read" in text for text in permitted] == [True]
        # The other model is trained by a Classic service, which no commitment plan pays for.
        assert ["diabetes-progress"] == [t["name"] for t in bystander.plan("--select", "diabetes*")["changes"]]
        checks = json.loads(bystander.run("doctor", "--output", "json").stdout)["checks"]
        (spent,) = [check for check in checks if check["name"] == "commitment-plan"]
        assert (spent["outcome"], spent["subject"]) == ("warning", "dev (DevTest)")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("contoso-plan", "the commitment plan is in southcentralus and cannot pay for web services in West Europe"),
        ("nowhere", "the commitment plan does not exist"),
    ],
)
def test_a_service_is_not_created_for_a_plan_that_cannot_pay_for_it(bystander: Any, plan: str, words: str) -> None:
    string = bystander.studio.secrets()["CONTOSO_STORAGE"]
    parts = dict(part.split("=", 1) for part in string.split(";") if part)
    (bystander.home / "storage.key").write_text(parts["AccountKey"])
    (bystander.home / "specs" / "abroad.yaml").write_text(_COPY.format(plan=plan))

    (blocked,) = bystander.plan("--select", "abroad", code=1)["blocked"]

    assert words in _told(blocked)
    assert f"commitmentPlans/{plan}: " in _told(blocked)
    assert "commitment plan in West Europe" in blocked["remedy"] or "Correct commitmentPlan" in blocked["remedy"]


def test_a_fleet_in_sync_is_not_asked_about(converged: Any) -> None:
    before = len(converged.studio.requests())

    plan = converged.plan()

    assert {"checks": [], "estimate": None} == plan["preflight"]
    paths = [request["path"] for request in converged.studio.requests()[before:]]
    assert not [path for path in paths if "permissions" in path or "commitmentPlans" in path]


def test_a_plan_tells_what_its_retrains_will_take(converged: Any) -> None:
    for name in ("2026-10",):
        text = (converged.home / "specs" / "endpoints.yaml").read_text()
        (converged.home / "specs" / "endpoints.yaml").write_text(text.replace(f'"{name}"', '"2026-11"'))
    saved = Path(converged.home / "plan.json")

    done = converged.run("--dry-run", "--out", str(saved))

    estimate = json.loads(saved.read_text())["preflight"]["estimate"]
    assert (estimate["retrains"], estimate["timed"], estimate["at_once"]) == (2, 2, 2)
    assert estimate["seconds"] > 0
    assert "list prices of 2017" in estimate["basis"]
    assert "2 retrains, 2 at a time: about" in done.stdout
    converged.run("apply", str(saved))
