"""The Key Vaults of the local Studio: the challenge, secrets in versions, and who may have them."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ThreadedResolver
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient

from reconciler.emulator.faults import Rule
from tests.emulator.key_vault.conftest import HOME, READER

MANAGEMENT = "https://management.azure.com/.default"
WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
OLD, NEW = "1" * 32, "2" * 32


class Names(ThreadedResolver):
    """Finds every name on this machine."""

    async def resolve(self, host: str, *arguments: Any, **options: Any) -> Any:
        return [{**each, "hostname": host} for each in await super().resolve("127.0.0.1", *arguments, **options)]


def vaults(*secrets: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A studio file's section with one vault."""
    return {"keyVaults": [{"name": "fabrikam", "secrets": list(secrets), **more}]}


# -- the challenge


async def test_a_request_without_a_token_is_answered_with_a_challenge(visitor: Any) -> None:
    answer = await visitor.send("GET", "/secrets/workspace-token", token=None)

    assert answer.status == 401
    assert answer.body["error"]["message"] == "AKV10000: Request is missing a Bearer or PoP token."
    authority = re.escape(f"{visitor.cloud['signIn']['authority']}/{HOME}")
    expected = rf'Bearer authorization="{authority}", resource="https://vault\.azure\.net"'
    assert re.fullmatch(expected, answer.headers["WWW-Authenticate"])


async def test_a_vault_is_a_host_and_its_challenge_names_the_domain(visitor: Any) -> None:
    """A client compares them, so that no other host gets a token for a vault."""
    host = visitor.cloud["keyVaultUrl"].removeprefix("https://").replace("{name}", "contoso-vault")

    answer = await visitor.send("GET", "/secrets/workspace-token", token=None, host=host)

    assert f'resource="https://{host.removeprefix("contoso-vault.")}"' in answer.headers["WWW-Authenticate"]


async def test_a_token_for_anything_else_is_not_taken(visitor: Any) -> None:
    answer = await visitor.send("GET", "/secrets/workspace-token", token=await visitor.token(MANAGEMENT))

    assert (answer.status, answer.code) == (401, "Unauthorized")
    assert answer.body["error"]["message"].startswith("AKV10022: Invalid audience. Expected https://vault.azure.net, ")
    assert "WWW-Authenticate" in answer.headers
    assert (await visitor.send("GET", "/secrets/workspace-token", token="no token")).status == 401


async def test_a_token_of_the_own_domain_is_taken(visitor: Any) -> None:
    scope = visitor.cloud["keyVaultUrl"].replace("{name}.", "") + "/.default"

    answer = await visitor.send("GET", "/secrets/workspace-token", token=await visitor.token(scope))

    assert answer.status == 200


async def test_a_token_of_another_tenant_is_not_taken(start_studio: Any, visit: Any) -> None:
    tenant = "aaaaaaaa-3c0e-4b0e-9b5c-5a0a4c1f7e21"
    stranger = {"tenantId": tenant, "clientId": READER, "clientSecretEnv": "STRANGER_SECRET"}
    visitor = visit(start_studio(principals=[stranger]))
    secret = visitor.environ["STRANGER_SECRET"]

    answer = await visitor.send(
        "GET",
        "/secrets/workspace-token",
        token=await visitor.token(tenant=tenant, client_id=READER, client_secret=secret),
    )

    assert answer.status == 401
    assert answer.body["error"]["message"].startswith("AKV10032: Invalid issuer.")


async def test_an_expired_token_is_not_taken(start_studio: Any, visit: Any) -> None:
    now = [datetime(2026, 11, 24, tzinfo=UTC)]
    visitor = visit(start_studio(clock=lambda: now[0]))
    token = await visitor.token()
    now[0] += timedelta(hours=2)

    answer = await visitor.send("GET", "/secrets/workspace-token", token=token)

    assert (answer.status, answer.body["error"]["message"][:14]) == (401, "[TokenExpired]")


# -- secrets


async def test_a_vault_keeps_the_studios_own_secrets(visitor: Any) -> None:
    environ = visitor.environ

    assert await visitor.value("/secrets/workspace-token") == environ["CONTOSO_WORKSPACE_TOKEN"]
    assert await visitor.value("/secrets/storage-connection-string") == environ["CONTOSO_STORAGE"]


async def test_the_current_version_is_given_and_earlier_ones_by_their_ids(start_studio: Any, visit: Any) -> None:
    secret = {"name": "Token", "id": NEW, "value": "new", "earlier": [{"id": OLD, "value": "old"}]}
    visitor = visit(start_studio(**vaults(secret)))

    found = await visitor.send("GET", "/secrets/token/")
    earlier = await visitor.send("GET", f"/secrets/Token/{OLD}")

    assert (found.body["value"], earlier.body["value"]) == ("new", "old")
    assert found.body["id"].endswith(f"/secrets/token/{NEW}")
    assert found.body["attributes"].keys() == {"enabled", "created", "updated", "recoveryLevel", "recoverableDays"}


async def test_set_secret_makes_a_new_version_that_is_the_current_one(visitor: Any) -> None:
    before = await visitor.send("GET", "/secrets/workspace-token")

    made = await visitor.send("PUT", "/secrets/workspace-token", {"value": "new", "tags": {"why": "rotated"}})

    assert made.status == 200
    assert made.body["tags"] == {"why": "rotated"}
    assert await visitor.value("/secrets/workspace-token") == "new"
    version = before.body["id"].rpartition("/")[2]
    assert await visitor.value(f"/secrets/workspace-token/{version}") == before.body["value"]
    assert (await visitor.send("PUT", "/secrets/another", {"value": "x"})).status == 200


async def test_what_is_not_there_is_not_found(visitor: Any) -> None:
    for path in ("/secrets/none", f"/secrets/workspace-token/{OLD}"):
        answer = await visitor.send("GET", path)

        assert (answer.status, answer.code) == (404, "SecretNotFound")
        name = path.removeprefix("/secrets/")
        assert answer.body["error"]["message"].startswith(f"A secret with (name/id) {name} was not found")


async def test_a_disabled_secret_is_not_given_and_an_expired_one_is(start_studio: Any, visit: Any) -> None:
    """ "About secrets": exp and nbf inform; get works outside of them as well."""
    past = "2020-01-01T00:00:00Z"
    visitor = visit(
        start_studio(
            **vaults(
                {"name": "off", "value": "x", "enabled": False},
                {"name": "over", "value": "x", "expires": past},
                {"name": "early", "value": "x", "notBefore": "2999-01-01T00:00:00Z"},
            )
        )
    )

    off = await visitor.send("GET", "/secrets/off")
    over = await visitor.send("GET", "/secrets/over")

    assert (off.status, off.code) == (403, "Forbidden/SecretDisabled")
    assert (over.status, over.body["attributes"]["exp"]) == (200, 1577836800)
    assert (await visitor.send("GET", "/secrets/early")).status == 200


async def test_whom_the_access_policy_does_not_name_is_refused(start_studio: Any, visit: Any) -> None:
    visitor = visit(
        start_studio(
            keyVaults=[
                {"name": "open", "access": [{"clientId": READER}], "secrets": [{"name": "s"}]},
                {"name": "own", "secrets": [{"name": "s"}]},
            ]
        )
    )
    reader = await visitor.token(client_id=READER, client_secret=visitor.environ["READER_CLIENT_SECRET"])

    refused = await visitor.send("GET", "/secrets/s")
    mute = await visitor.send("PUT", "/secrets/s", {"value": "x"}, token=reader)
    strange = await visitor.send("GET", "/secrets/s", token=reader, host="own.vault.localhost")

    assert (refused.status, refused.code) == (403, "Forbidden/ForbiddenByPolicy")
    assert "does not have secrets get permission on key vault 'open;location=" in refused.body["error"]["message"]
    assert (mute.code, strange.code) == ("Forbidden/ForbiddenByPolicy", "Forbidden/ForbiddenByPolicy")
    assert (await visitor.send("GET", "/secrets/s", token=reader)).status == 200


async def test_an_api_version_is_wanted(visitor: Any) -> None:
    for version in (None, "1.0", "latest"):
        answer = await visitor.send("GET", "/secrets/workspace-token", version=version)
        assert (answer.status, answer.code) == (400, "BadParameter")
    for version in ("7.0", "7.6", "2026-04-01"):
        assert (await visitor.send("GET", "/secrets/workspace-token", version=version)).status == 200


async def test_what_no_vault_takes_is_refused(visitor: Any) -> None:
    for path, body in (
        ("/secrets/with_underscore", {"value": "x"}),
        ("/secrets/long", {"value": "x" * 25_601}),
        ("/secrets/none", {}),
        ("/secrets/number", {"value": 5}),
    ):
        answer = await visitor.send("PUT", path, body)
        assert (answer.status, answer.code) == (400, "BadParameter")
    assert (await visitor.send("GET", "/secrets/x", host="nobody.vault.localhost")).code == "VaultNotFound"


async def test_secrets_outlive_a_restart_and_the_studios_own_are_brought_up_to_date(
    studio_thread: Any, first_state: Path, visit: Any, tmp_path: Path
) -> None:
    """A connection string names the port, which may be another one then."""
    state = tmp_path / "state"
    shutil.copytree(first_state, state)
    with studio_thread.studio(state=state) as studio:
        await visit(studio).send("PUT", "/secrets/mine", {"value": "kept"})
        taken = int(studio.url.rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        with studio_thread.studio(state=state) as studio:
            visitor = visit(studio)
            assert f":{taken}" not in studio.url
            assert await visitor.value("/secrets/mine") == "kept"
            assert await visitor.value("/secrets/storage-connection-string") == visitor.environ["CONTOSO_STORAGE"]


async def test_a_vault_fails_on_demand_in_its_own_words(visitor: Any) -> None:
    visitor.studio.faults.add(
        Rule(operation="keyVault.getSecret", nth=1, answer={"code": "Forbidden/ForbiddenByFirewall"}),
        Rule(operation="keyVault.*", nth=2, answer={"code": "Throttled"}),
    )

    answers = [await visitor.send("GET", "/secrets/workspace-token") for _ in range(3)]

    assert [(each.status, each.code) for each in answers[:2]] == [
        (403, "Forbidden/ForbiddenByFirewall"),
        (429, "Throttled"),
    ]
    assert answers[2].status == 200
    found = visitor.studio.journal.entries(operation="keyVault.getSecret")
    assert {(each.route, each.kind) for each in found} == {("/secrets/*", "read")}


# -- secrets are exchanged


async def test_an_exchanged_workspace_token_is_the_only_one_that_is_taken(visitor: Any) -> None:
    old = visitor.environ["CONTOSO_WORKSPACE_TOKEN"]
    services = f"/workspaces/{WORKSPACE}/webservices"

    assert await visitor.rotate(workspaceToken=WORKSPACE) == 204

    new = visitor.environ["CONTOSO_WORKSPACE_TOKEN"]
    assert new != old
    assert await visitor.value("/secrets/workspace-token") == new
    assert [await visitor.status(services, token) for token in (old, new)] == [401, 200]


async def test_a_secret_that_is_exchanged_in_private_is_known_to_the_service_alone(visitor: Any) -> None:
    old = visitor.environ["CONTOSO_WORKSPACE_TOKEN"]

    assert await visitor.rotate(workspaceToken=WORKSPACE, publish=False) == 204

    assert visitor.environ["CONTOSO_WORKSPACE_TOKEN"] == old
    assert await visitor.value("/secrets/workspace-token") == old
    assert await visitor.status(f"/workspaces/{WORKSPACE}/webservices", old) == 401


async def test_an_exchanged_account_key_makes_signatures_of_the_old_one_worthless(visitor: Any, client: Any) -> None:
    old = visitor.environ["CONTOSO_STORAGE"]
    signed = client.signed("initial/breast-cancer.ilearner")
    path = f"/contosostore/{signed['RelativeLocation']}{signed['SasBlobToken']}"
    assert await visitor.status(path) == 200

    assert await visitor.rotate(storageKey="contosostore") == 204

    assert visitor.environ["CONTOSO_STORAGE"] != old
    assert await visitor.value("/secrets/storage-connection-string") == visitor.environ["CONTOSO_STORAGE"]
    assert await visitor.status(path) == 403
    assert await client.download("models/initial/breast-cancer.ilearner")


async def test_an_exchanged_client_secret_signs_in(visitor: Any) -> None:
    client = visitor.environ["AZURE_CLIENT_ID"]
    old = visitor.environ["AZURE_CLIENT_SECRET"]

    assert await visitor.rotate(clientSecret=client) == 204

    assert visitor.environ["AZURE_CLIENT_SECRET"] != old
    await visitor.token()


@pytest.mark.parametrize(
    "asked",
    [{}, {"publish": False}, {"workspaceToken": "0" * 32}, {"storageKey": "none"}, {"clientSecret": HOME}, {"x": "y"}],
)
async def test_what_there_is_not_cannot_be_exchanged(visitor: Any, asked: dict[str, Any]) -> None:
    assert await visitor.rotate(**asked) == 400


# -- with Azure's own libraries


async def test_the_unmodified_client_library_reads_and_writes(visitor: Any) -> None:
    """By the vault's own name, with everything checked that the library checks."""
    cloud, environ = visitor.cloud, visitor.environ
    trust = str(visitor.studio.cloud_file.parent / cloud["caFile"])

    connector = aiohttp.TCPConnector(resolver=Names(), ssl=ssl.create_default_context(cafile=trust))
    async with (
        AsyncClientSecretCredential(
            HOME,
            environ["AZURE_CLIENT_ID"],
            environ["AZURE_CLIENT_SECRET"],
            authority=cloud["signIn"]["authority"],
            disable_instance_discovery=True,
            connection_verify=trust,
        ) as credential,
        aiohttp.ClientSession(connector=connector) as session,
        AsyncSecretClient(
            cloud["keyVaultUrl"].replace("{name}", "contoso-vault"),
            credential,
            transport=AioHttpTransport(session=session, session_owner=False),
        ) as client,
    ):
        made = await client.set_secret("mine", "hush", content_type="text/plain")
        found = await client.get_secret("mine", made.properties.version)

        assert (found.value, found.properties.content_type) == ("hush", "text/plain")
        assert found.properties.vault_url == cloud["keyVaultUrl"].replace("{name}", "contoso-vault")
        with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
            await client.get_secret("none")


async def test_by_address_the_first_vault_is_reached(visitor: Any) -> None:
    """For those whose system does not find names below localhost; the address is in no domain that could be checked."""
    cloud, environ = visitor.cloud, visitor.environ
    options: dict[str, Any] = {"connection_verify": str(visitor.studio.cloud_file.parent / cloud["caFile"])}

    def read() -> str | None:
        with (
            ClientSecretCredential(
                HOME,
                environ["AZURE_CLIENT_ID"],
                environ["AZURE_CLIENT_SECRET"],
                authority=cloud["signIn"]["authority"],
                disable_instance_discovery=True,
                **options,
            ) as credential,
            SecretClient(cloud["resourceManagerUrl"], credential, verify_challenge_resource=False, **options) as client,
        ):
            with pytest.raises(HttpResponseError):
                client.get_secret("none")
            return client.get_secret("workspace-token").value

    assert await asyncio.to_thread(read) == environ["CONTOSO_WORKSPACE_TOKEN"]
