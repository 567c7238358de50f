"""Secrets that lie in a Key Vault, and secrets that are exchanged while a run goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import Proxy
from tests.support.studio import LONGEST, WORKSPACE, running

STATUS = ("GET", r"/jobs/\w+$")
ENV = {"token": "{env: CONTOSO_WORKSPACE_TOKEN}", "connectionString": "{env: CONTOSO_STORAGE}"}
VAULT = {
    "token": "{keyVault: {vault: contoso-vault, secret: workspace-token}}",
    "connectionString": "{keyVault: {vault: contoso-vault, secret: storage-connection-string}}",
}


def refer_to(rig: Any, references: dict[str, str]) -> None:
    for field, reference in references.items():
        rig.edit(f"{field}: {ENV[field]}", f"{field}: {reference}", "contoso.yaml")


def test_a_run_has_its_secrets_from_a_vault_and_asks_once_for_each(rig: Any) -> None:
    rig.write("a", "b", new=True)
    refer_to(rig, VAULT)
    before = len(rig.studio.asked_of_vaults())
    rig.run("validate")
    assert [] == rig.studio.asked_of_vaults()[before:]

    rig.run("--yes")

    rig.assert_home()
    asked = rig.studio.asked_of_vaults()[before:]
    assert [("storage-connection-string", 200), ("workspace-token", 200)] == sorted(asked)


@pytest.fixture
def own_rig(prepared_state: Path, quick_studio: Path, tmp_path: Path, rig: Any) -> Iterator[Any]:
    """A rig with a Studio of its own: what is done to its account, other tests would not survive."""
    state = tmp_path / "own"
    shutil.copytree(prepared_state, state, ignore=shutil.ignore_patterns("lock", "cloud.json", "emulator.env"))
    with running(state, "--studio", str(quick_studio)) as studio, Proxy(studio.url) as proxy:
        cloud = json.loads(studio.cloud_file.read_text().replace(studio.url, proxy.url))
        cloud_file = studio.cloud_file.with_name("by-proxy.json")
        cloud_file.write_text(json.dumps({**cloud, "settleSeconds": 1.0, "pollSeconds": 0.05}))
        yield replace(rig, studio=studio, proxy=proxy, cloud_file=cloud_file)


def test_a_run_goes_on_when_its_token_is_exchanged(rig: Any) -> None:
    """The endpoints are made and pointed with a token that was not there when the run began."""
    rig.write("a", "b", new=True)
    refer_to(rig, VAULT)
    hold = rig.proxy.hold(*STATUS)
    process = rig.begin()
    hold.wait(process)

    rig.studio.exchange(workspaceToken=WORKSPACE)
    sent = len(rig.studio.requests())
    hold.go()
    rig.end(process, 0)

    rig.assert_home()
    assert {"/workspaces"} == refused(rig.studio.requests()[sent:])


def test_a_run_goes_on_when_its_account_key_is_exchanged(own_rig: Any) -> None:
    """What the job wrote is read, and the endpoints are pointed to it, with another key than it was written with."""
    rig = own_rig
    rig.write("a")
    refer_to(rig, {"connectionString": VAULT["connectionString"]})
    hold = rig.proxy.hold(*STATUS)
    process = rig.begin()
    hold.wait(process)
    end = time.monotonic() + LONGEST
    while [job["state"] for job in rig.started()] != ["Finished"]:
        assert time.monotonic() < end, rig.jobs()

    rig.studio.exchange(workspaceToken=WORKSPACE)
    rig.studio.exchange(storageKey="contosostore")
    sent = len(rig.studio.requests())
    hold.go()
    rig.end(process, 0)

    rig.assert_home()
    assert {"/workspaces", "/contosostore"} == refused(rig.studio.requests()[sent:])


def test_a_run_is_done_with_the_accounts_other_key_while_the_first_is_regenerated(own_rig: Any) -> None:
    """Uploads, the job's own reads and writes, the signature that the endpoint gets: all with the second key."""
    rig = own_rig
    rig.write("a")
    field = "secondaryConnectionString: {env: CONTOSO_STORAGE_2}"
    rig.edit(
        "connectionString: {env: CONTOSO_STORAGE}",
        f"connectionString: {{env: CONTOSO_STORAGE}}\n    {field}",
        "contoso.yaml",
    )
    rig.studio.exchange(storageKey="contosostore", publish=False)

    rig.run("--yes")

    rig.assert_home()
    assert ["Finished"] == [job["state"] for job in rig.started()]


def refused(requests: list[dict[str, Any]]) -> set[str]:
    """What did not take a secret that was sent to it; a vault's challenge is no refusal."""
    return {f"/{each['path'].split('/')[1]}" for each in requests if each["status"] in {401, 403}} - {"/secrets"}


def test_a_token_that_is_refused_and_nowhere_newer_is_named(rig: Any) -> None:
    rig.write("a")
    refer_to(rig, VAULT)
    rig.studio.exchange(workspaceToken=WORKSPACE, publish=False)
    before = len(rig.studio.asked_of_vaults())

    plan = rig.plan(code=1)

    rig.studio.exchange(workspaceToken=WORKSPACE)
    (blocked,) = plan["blocked"]
    (reason,) = {reason["text"] for reason in blocked["reasons"]}
    assert "401" in reason
    assert "Refused: Workspace contoso, spec.token (Key Vault contoso-vault, secret workspace-token): " in reason
    assert "its value has not changed. Update it with the value that the service accepts" in reason
    # Once to begin with, and once more, however many calls were refused.
    assert 2 == sum(name == "workspace-token" for name, _ in rig.studio.asked_of_vaults()[before:])
    assert [] == rig.plan()["blocked"]
