"""``reconcile doctor`` on whole and half-broken setups: each thing is told once, with its remedy; nothing changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.studio import SETTINGS, running


def _checks(desk: Any, *arguments: str, code: int = 0) -> list[dict[str, str]]:
    body = json.loads(desk.run("doctor", "--output", "json", *arguments, code=code).stdout)
    assert body["outcome"] == ("failed" if code else "ok")
    checks: list[dict[str, str]] = body["checks"]
    return checks


def _only(checks: list[dict[str, str]], name: str, outcome: str | None = None) -> dict[str, str]:
    (found,) = [check for check in checks if check["name"] == name and outcome in (None, check["outcome"])]
    return found


def test_a_setup_that_works_is_fine_all_over(bystander: Any) -> None:
    checks = _checks(bystander)

    assert {"ok"} == {check["outcome"] for check in checks}
    assert {
        "specs",
        "host",
        "clock",
        "token",
        "quota",
        "sign-in",
        "subscription",
        "provider",
        "permissions",
        "commitment-plan",
        "web-service",
        "storage",
    } == {check["name"] for check in checks}
    assert "lists 5 web services" in _only(checks, "token")["text"]
    assert "webServices/write" in _only(checks, "permissions")["text"]
    text = bystander.run("doctor").stdout
    assert f"{len(checks)} ok" in text
    secrets = bystander.studio.secrets()
    for name in ("CONTOSO_WORKSPACE_TOKEN", "CONTOSO_STORAGE", "AZURE_CLIENT_SECRET"):
        assert secrets[name] not in text + json.dumps(checks)


def test_each_thing_is_asked_once(bystander: Any) -> None:
    before = len(bystander.studio.requests())

    _checks(bystander)

    paths = [
        (request["method"], request["path"])
        for request in bystander.studio.requests()[before:]
        if "/oauth2/" not in request["path"] and "/discovery/" not in request["path"]
    ]
    repeated = {path for path in paths if paths.count(path) > 1}
    # The two ports serve one application, and each of them is a host of its own to a client. A list may have pages.
    pages = {path for path in repeated if path[1].endswith("/webServices")} if SETTINGS.list_page_size == 1 else set()
    assert repeated - pages <= {("HEAD", "/")}
    assert len(set(paths)) <= 12


def test_mistakes_in_the_specs_hide_no_check_of_the_network_nor_the_other_way_round(
    bystander: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bystander.edit("maxConcurrentCalls: 20, diagnostics: Error", "maxConcurrentCalls: 20, diagnostic: Error")
    monkeypatch.setenv("CONTOSO_WORKSPACE_TOKEN", "not-the-token")

    checks = _checks(bystander, code=1)

    assert "diagnostic" in _only(checks, "specs", "failed")["text"]
    refused = _only(checks, "token-refused")
    assert "401" in refused["text"]
    assert "spec.token of Workspace contoso" in refused["remedy"]
    assert "not-the-token" not in json.dumps(checks)
    assert _only(checks, "storage")["outcome"] == "ok"
    # What was wrong was the only document of its kind.
    assert _only(checks, "sign-in")["outcome"] == "skipped"


def test_a_rotated_storage_key_is_named_by_its_403_with_a_remedy(
    bystander: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    string = bystander.studio.secrets()["CONTOSO_STORAGE"]
    monkeypatch.setenv("CONTOSO_STORAGE", string.replace("AccountKey=", "AccountKey=AAAA"))

    storage = _only(_checks(bystander, code=1), "storage")

    assert (storage["outcome"], storage["subject"]) == ("failed", "workspace contoso")
    assert "403 AuthenticationFailed" in storage["text"]
    assert "rotated" in storage["remedy"]
    assert "spec.storage.connectionString of Workspace contoso" in storage["remedy"]


def _with_both_keys(desk: Any) -> None:
    desk.edit(
        "container: models",
        "secondaryConnectionString: {env: CONTOSO_STORAGE_2}\n    container: models",
        "contoso.yaml",
    )


@pytest.mark.parametrize(
    ("spoilt", "field"),
    [
        ("CONTOSO_STORAGE", "spec.storage.connectionString"),
        ("CONTOSO_STORAGE_2", "spec.storage.secondaryConnectionString"),
    ],
)
def test_one_key_of_two_that_is_refused_is_a_warning_that_names_it_and_stops_nothing(
    bystander: Any, monkeypatch: pytest.MonkeyPatch, spoilt: str, field: str
) -> None:
    _with_both_keys(bystander)
    string = bystander.studio.secrets()[spoilt]
    monkeypatch.setenv(spoilt, string.replace("AccountKey=", "AccountKey=AAAA"))

    storage = _only(_checks(bystander), "storage")

    assert storage["outcome"] == "warning"
    assert f"{field} (403 AuthenticationFailed). The other key is accepted and used" in storage["text"]
    assert f"put the new key into {field} of Workspace contoso" in storage["remedy"]
    plan = bystander.plan("--select", "clinic-a")
    assert ["clinic-a"] == [target["name"] for target in plan["changes"]]
    assert "warning" in {check["outcome"] for check in plan["preflight"]["checks"] if check["name"] == "storage"}


def test_both_keys_of_an_account_are_tried(bystander: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_both_keys(bystander)
    assert _only(_checks(bystander), "storage")["text"].endswith("accepts both keys")

    for name in ("CONTOSO_STORAGE", "CONTOSO_STORAGE_2"):
        monkeypatch.setenv(name, bystander.studio.secrets()[name].replace("AccountKey=", "AccountKey=AAAA"))

    storage = _only(_checks(bystander, code=1), "storage")
    assert "refuses both keys" in storage["text"]
    assert "connectionString of Workspace contoso and spec.storage.secondaryConnectionString of" in storage["remedy"]
    (blocked,) = bystander.plan("--select", "clinic-a", code=1)["blocked"]
    assert "refuses both keys" in blocked["reasons"][0]["text"]


def test_keys_of_two_accounts_are_no_two_keys(bystander: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_both_keys(bystander)
    monkeypatch.setenv(
        "CONTOSO_STORAGE_2", bystander.studio.secrets()["CONTOSO_STORAGE"].replace("contosostore", "fabrikam")
    )

    storage = _only(_checks(bystander, code=1), "storage")

    assert "spec.storage.secondaryConnectionString: this connection string is of account " in storage["text"]
    assert "Use two keys of one account" in storage["text"]


def test_a_service_that_is_down_is_told_once_and_what_rests_on_it_is_skipped(bystander: Any, tmp_path: Path) -> None:
    cloud = json.loads(bystander.studio.cloud_file.read_text())
    bystander.cloud_file = bystander.studio.cloud_file.parent / f"down-{tmp_path.name}.json"
    cloud["resourceManagerUrl"] = cloud["signIn"]["authority"] = "https://127.0.0.1:1"
    cloud["managementUrl"] = "http://127.0.0.1:1"
    bystander.cloud_file.write_text(json.dumps(cloud))
    bystander.cloud_file.chmod(0o600)

    checks = _checks(bystander, code=1)

    failed = [check["subject"] for check in checks if check["outcome"] == "failed"]
    assert ["http://127.0.0.1:1", "https://127.0.0.1:1"] == sorted(failed)
    assert {"token", "sign-in"} == {check["name"] for check in checks if check["outcome"] == "skipped"}
    assert _only(checks, "storage")["outcome"] == "ok"


def test_a_tenant_that_is_wrong_is_told_with_its_remedy(bystander: Any, tmp_path: Path) -> None:
    cloud = json.loads(bystander.studio.cloud_file.read_text())
    bystander.cloud_file = bystander.studio.cloud_file.parent / f"tenant-{tmp_path.name}.json"
    cloud["signIn"]["tenantId"] = "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e22"
    bystander.cloud_file.write_text(json.dumps(cloud))

    sign_in = _only(_checks(bystander, code=1), "sign-in", "failed")

    assert "AADSTS90002" in sign_in["text"]
    assert "Correct the tenant" in sign_in["remedy"]


@pytest.mark.parametrize(
    ("wrong", "subject", "remedy"),
    [
        ("contoso-ml/providers", "resource group contoso-mi", "Correct the resource group in resourceId"),
        ("webServices/BreastCancer", "BreastCancor", "Correct resourceId, or add a definition"),
    ],
)
def test_what_is_not_there_is_a_failure_unless_it_is_to_be_created(
    bystander: Any, wrong: str, subject: str, remedy: str
) -> None:
    bystander.edit(wrong, wrong.replace("-ml", "-mi").replace("Cancer", "Cancor"))

    check = _only(_checks(bystander, code=1), "web-service", "failed")

    assert subject == check["subject"]
    assert remedy in check["remedy"]


def test_a_host_that_has_gone_is_the_retirement_said_in_one_sentence(bystander: Any, tmp_path: Path) -> None:
    bystander.edit("kind: NewWebService", "kind: NewWebServices")
    cloud = json.loads(bystander.studio.cloud_file.read_text())
    bystander.cloud_file = bystander.studio.cloud_file.parent / f"gone-{tmp_path.name}.json"
    bystander.cloud_file.write_text(json.dumps({**cloud, "managementUrl": "https://management.invalid"}))

    checks = _checks(bystander, code=1)

    gone = _only(checks, "host", "failed")
    assert "host management.invalid does not exist: Microsoft retired" in gone["text"]
    assert "31 August 2024" in gone["text"]
    assert "retired" not in "".join(check["text"] for check in checks if check is not gone)


def test_a_selection_that_picks_nothing_and_a_cloud_that_is_none_are_checks_that_failed(bystander: Any) -> None:
    checks = _checks(bystander, "--select", "clinik-a", code=1)
    assert "clinic-a" in _only(checks, "specs", "failed")["text"]
    assert _only(checks, "token")["outcome"] == "ok"
    bystander.cloud_file = bystander.home / "nowhere.json"
    checks = _checks(bystander, code=1)
    assert "nowhere.json" in _only(checks, "cloud")["text"]
    assert _only(checks, "specs")["outcome"] == "ok"


def test_a_clock_that_is_off_is_told_with_by_how_much(fresh: Any) -> None:
    rules = fresh.home / "faults.yaml"
    rules.write_text("rules: [{operation: '*', clockSkew: -20m}]\n")
    with running(fresh.home / "skewed", "--faults", str(rules)) as studio:
        fresh.studio = studio
        checks = _checks(fresh, code=1)
        clocks = [check for check in checks if check["name"] == "clock"]
        failed = [check for check in clocks if check["outcome"] == "failed"]
        assert "storage of workspace contoso" in [check["subject"] for check in failed]
        assert "this machine's clock is about 20 min ahead of the server's" in failed[0]["text"]
        assert "NTP" in failed[0]["remedy"]
        assert not [check for check in checks if check["name"] == "storage"]
        # A plan that would sign with such a clock is blocked by it.
        plan = fresh.plan("--select", "clinic-*", code=1)
        assert {"blocked"} == {target["status"] for target in plan["blocked"]}
        assert "20 min ahead" in plan["blocked"][0]["reasons"][0]["text"]


def test_the_host_of_a_key_vault_that_holds_a_secret_is_reached_too(bystander: Any) -> None:
    bystander.edit(
        "{env: CONTOSO_WORKSPACE_TOKEN}",
        "{keyVault: {vault: contoso-vault, secret: workspace-token}}",
        "contoso.yaml",
    )

    checks = _checks(bystander)

    assert [check for check in checks if check["name"] == "host" and "Key Vault contoso-vault" in check["text"]]
    assert "lists 5 web services" in _only(checks, "token")["text"]
