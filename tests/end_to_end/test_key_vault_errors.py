"""A Key Vault that does not give a secret: it is said why and what to do, and stops only what needs it."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from typing import Any

import pytest

_FABRIKAM = "{env: CONTOSO_WORKSPACE_TOKEN}"


def _token_from(desk: Any, reference: str) -> None:
    """Give the user a second workspace, of one target, whose token is elsewhere."""
    specs = desk.home / "specs"
    text = (specs / "contoso.yaml").read_text().replace("name: contoso", "name: fabrikam")
    (specs / "fabrikam.yaml").write_text(text.replace(_FABRIKAM, reference))
    desk.edit('workspace: contoso\n  webService: "Diab', 'workspace: fabrikam\n  webService: "Diab')


def _own_cloud(desk: Any, change: Callable[[dict[str, Any], str], str]) -> None:
    """Give the user a cloud file of their own, and an env file that is made of the Studio's."""
    cloud = json.loads(desk.studio.cloud_file.read_text())
    shutil.copy(desk.studio.cloud_file.parent / cloud["caFile"], desk.home)
    (desk.home / "own.env").write_text(change(cloud, desk.studio.env_file.read_text()))
    desk.cloud_file = desk.home / "cloud.json"
    desk.cloud_file.write_text(json.dumps({**cloud, "envFile": "own.env"}))


def _why_blocked(desk: Any) -> dict[str, str]:
    plan = desk.plan(code=1)
    return {target["name"]: " ".join(reason["text"] for reason in target["reasons"]) for target in plan["blocked"]}


@pytest.mark.parametrize(
    ("vault", "secret", "said"),
    [
        ("contoso-vault", "none", "(used by Workspace fabrikam, spec.token) does not exist: 404 SecretNotFound: "),
        ("contoso-vault", "none", ". Store the secret there, or correct the reference"),
        ("nobodys-vault", "none", "does not exist: 404 VaultNotFound: "),
        (
            "https://contoso-vault.vault.azure.net",
            "workspace-token",
            "https://contoso-vault.vault.azure.net is not a Key Vault of cloud 'local', whose vaults are https://NAME.",
        ),
    ],
)
def test_a_secret_that_is_not_there_blocks_the_targets_of_that_workspace_alone(
    bystander: Any, vault: str, secret: str, said: str
) -> None:
    _token_from(bystander, f"{{keyVault: {{vault: '{vault}', secret: {secret}}}}}")

    blocked = _why_blocked(bystander)

    assert {"diabetes-progress"} == blocked.keys()
    assert f"secret {secret} of Key Vault {vault} (used by Workspace fabrikam" in blocked["diabetes-progress"]
    assert said in blocked["diabetes-progress"]


def test_an_identity_that_the_vault_does_not_know_is_told_what_it_needs(bystander: Any) -> None:
    _token_from(bystander, "{keyVault: {vault: contoso-vault, secret: workspace-token}}")

    def as_reader(_: dict[str, Any], environment: str) -> str:
        secrets = bystander.studio.secrets()
        return environment.replace(secrets["AZURE_CLIENT_ID"], "4e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40").replace(
            secrets["AZURE_CLIENT_SECRET"], secrets["READER_CLIENT_SECRET"]
        )

    _own_cloud(bystander, as_reader)

    blocked = _why_blocked(bystander)

    # That identity may not update the New web service either, which the preflight tells.
    assert {"breast-cancer-new", "diabetes-progress"} == blocked.keys()
    assert "cannot be read: 403 Forbidden/ForbiddenByPolicy: " in blocked["diabetes-progress"]
    assert "Allow the signed-in identity to get secrets of this vault" in blocked["diabetes-progress"]


def test_a_vault_that_does_not_answer_is_said_to_be_unreachable(bystander: Any) -> None:
    _token_from(bystander, "{keyVault: {vault: contoso-vault, secret: workspace-token}}")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # Bound and not listening: whoever connects is refused.

        def elsewhere(cloud: dict[str, Any], environment: str) -> str:
            cloud["keyVaultUrl"] = f"https://{{name}}.vault.localhost:{closed.getsockname()[1]}"
            return environment

        _own_cloud(bystander, elsewhere)
        blocked = _why_blocked(bystander)

    assert {"diabetes-progress"} == blocked.keys()
    assert "is not available: no connection to contoso-vault.vault.localhost" in blocked["diabetes-progress"]
    assert ". Check the vault's name and the network" in blocked["diabetes-progress"]


def test_a_vault_is_not_asked_for_what_is_not_selected(bystander: Any) -> None:
    _token_from(bystander, "{keyVault: {vault: contoso-vault, secret: none}}")
    before = len(bystander.studio.asked_of_vaults())

    bystander.run("validate")
    bystander.plan("--select", "clinic-a")

    assert [] == bystander.studio.asked_of_vaults()[before:]
    bystander.plan("--select", "diabetes-progress", code=1)
    assert [("none", 404)] == bystander.studio.asked_of_vaults()[before:]
