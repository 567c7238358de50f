"""Secrets in Key Vaults: what is asked of whom, and what a message says when there is none."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from reconciler.azure.errors import (
    CloudError,
    InvalidReply,
    NotFound,
    ServiceError,
    ServiceUnavailable,
    SignInError,
    Unreachable,
)
from reconciler.azure.key_vault import KeyVaults
from reconciler.azure.retries import Retries
from tests.support.credentials import Credential

TOKEN = "eyJ0eXAi.a-token-of-a-vault.c2lnbmF0dXJl"
VALUE = "the-secret-value-that-nobody-sees"
PATH = "/secrets/token/"


@pytest.fixture
def credential():
    return Credential(TOKEN)


@pytest.fixture
def vault_cloud(cloud, secure_peer, ca_file):
    return replace(cloud, ca_file=ca_file, key_vaults=f"https://{{name}}.vault.localhost:{_port(secure_peer.url)}")


@pytest.fixture
async def vaults(vault_cloud, credential):
    async with KeyVaults(vault_cloud, credential, retries=Retries(backoff=0)) as made:
        yield made


def _port(url):
    return urlsplit(url).port


def challenge(peer, resource=None):
    """What a vault says to somebody without a token."""
    resource = resource or f"https://vault.localhost:{_port(peer.url)}"
    header = f'Bearer authorization="https://login.example/tenant-1", resource="{resource}"'
    return peer.refuses(401, "Unauthorized", "AKV10000", WWW_Authenticate=header)


def bundle(peer, value=VALUE, **attributes):
    return {
        "value": value,
        "id": f"https://contoso.vault.localhost:{_port(peer.url)}/secrets/token/{'a' * 32}",
        "attributes": {"enabled": True, **attributes},
    }


async def test_a_secret_is_had_after_the_challenge_with_a_token_for_its_resource(secure_peer, vaults, credential):
    secure_peer.on("GET", PATH, challenge(secure_peer), secure_peer.says(bundle(secure_peer, exp=1577836800)))

    found = await vaults.secret("contoso", "token")

    assert found.value.get_secret_value() == VALUE
    assert (found.version, found.expires.year) == ("a" * 32, 2020)
    assert VALUE not in repr(found)
    assert credential.scopes == [(f"https://vault.localhost:{_port(secure_peer.url)}/.default",)]
    first, second = secure_peer.seen
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == f"Bearer {TOKEN}"
    assert second.headers["host"].startswith("contoso.vault.localhost:")
    assert second.query == {"api-version": "7.4"}


async def test_a_version_is_asked_for_by_its_id(secure_peer, vaults):
    path = f"/secrets/token/{'b' * 32}"
    secure_peer.on("GET", path, challenge(secure_peer), secure_peer.says(bundle(secure_peer)))

    await vaults.secret("contoso", "token", "b" * 32)

    assert len(secure_peer.seen_of("GET", path)) == 2


@pytest.mark.parametrize(
    "resource", ["https://vault.azure.net", "https://management.azure.com", "https://evil.example"]
)
async def test_a_host_that_wants_a_token_for_somebody_else_gets_none(secure_peer, vaults, credential, resource):
    secure_peer.on_everything(challenge(secure_peer, resource))

    with pytest.raises(InvalidReply, match="does not respond like a Key Vault"):
        await vaults.secret("contoso", "token")

    assert credential.scopes == []


async def test_a_host_that_is_no_vault_of_the_cloud_is_not_asked(secure_peer, vaults):
    with pytest.raises(CloudError, match=r"is not a Key Vault of cloud 'local', whose vaults are https://NAME\.vault"):
        await vaults.secret("https://contoso.vault.azure.net", "token")

    assert secure_peer.seen == []


async def test_nobody_is_followed_to_another_host(secure_peer, vaults):
    secure_peer.on("GET", PATH, challenge(secure_peer), secure_peer.says({}, 302, Location="https://evil.example/"))

    with pytest.raises(ServiceError):
        await vaults.secret("contoso", "token")

    assert len(secure_peer.seen) == 2


@pytest.mark.parametrize(
    ("status", "code", "inner", "kind"),
    [
        (404, "SecretNotFound", None, NotFound),
        (403, "Forbidden", "ForbiddenByPolicy", SignInError),
        (403, "Forbidden", "SecretDisabled", SignInError),
    ],
)
async def test_a_refusal_has_its_inner_code(secure_peer, vaults, status, code, inner, kind):
    error = {"code": code, "message": "no"} | ({"innererror": {"code": inner}} if inner else {})
    secure_peer.on("GET", PATH, challenge(secure_peer), secure_peer.says({"error": error}, status))

    with pytest.raises(kind, match=rf"get secret token of Key Vault contoso: {status} {code}") as raised:
        await vaults.secret("contoso", "token")

    assert raised.value.detail_codes == ((inner,) if inner else ())


async def test_a_token_that_is_not_taken_is_a_sign_in_error_and_in_no_message(secure_peer, vaults):
    echo = {"error": {"code": "Unauthorized", "message": f"not {TOKEN}"}}
    header = (
        f'Bearer authorization="https://login.example/t", resource="https://vault.localhost:{_port(secure_peer.url)}"'
    )
    secure_peer.on_everything(secure_peer.says(echo, 401, WWW_Authenticate=header))

    with pytest.raises(SignInError, match=r"401 Unauthorized: not \*\*\*") as raised:
        await vaults.secret("contoso", "token")

    assert TOKEN not in str(raised.value)


async def test_half_an_answer_is_not_repeated(secure_peer, vaults):
    half = secure_peer.says_text('{"value": "' + VALUE, content_type="application/json")
    secure_peer.on("GET", PATH, challenge(secure_peer), half)

    with pytest.raises(InvalidReply, match="not a secret of a Key Vault") as raised:
        await vaults.secret("contoso", "token")

    assert VALUE not in str(raised.value)


@pytest.mark.parametrize("answer", [{"value": None}, {}, {"value": VALUE, "id": "nonsense"}, [VALUE]])
async def test_an_answer_that_is_no_secret_is_an_error_without_it(secure_peer, vaults, answer):
    secure_peer.on("GET", PATH, challenge(secure_peer), secure_peer.says(answer))

    with pytest.raises(InvalidReply) as raised:
        await vaults.secret("contoso", "token")

    assert VALUE not in str(raised.value)


async def test_a_web_page_as_an_error_is_not_printed_beside_ours(secure_peer, vaults, capsys):
    page = secure_peer.says_text("<html><title>Gateway</title></html>", 502, "text/html")
    secure_peer.on("GET", PATH, challenge(secure_peer), page)

    with pytest.raises(ServiceUnavailable, match="a web page, 'Gateway'"):
        await vaults.secret("contoso", "token")

    assert capsys.readouterr().err == ""


async def test_a_busy_vault_is_asked_again(secure_peer, vaults):
    secure_peer.on(
        "GET",
        PATH,
        challenge(secure_peer),
        secure_peer.refuses(429, "Throttled"),
        secure_peer.refuses(503, "ServiceUnavailable"),
        secure_peer.says(bundle(secure_peer)),
    )

    assert (await vaults.secret("contoso", "token")).value.get_secret_value() == VALUE


async def test_a_vault_that_nobody_answers_for_is_unreachable(vault_cloud, credential, closed_url):
    nowhere = replace(vault_cloud, key_vaults=f"https://{{name}}.vault.localhost:{_port(closed_url)}")
    async with KeyVaults(nowhere, credential, retries=Retries(backoff=0)) as vaults:
        with pytest.raises(Unreachable, match=r"no connection to contoso\.vault\.localhost"):
            await vaults.secret("contoso", "token")


async def test_a_vault_whose_certificate_nobody_vouches_for_gets_no_token(secure_peer, vault_cloud, credential):
    async with KeyVaults(replace(vault_cloud, ca_file=None), credential, retries=Retries(backoff=0)) as vaults:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await vaults.secret("contoso", "token")

    assert (secure_peer.seen, credential.scopes) == ([], [])


async def test_a_local_vault_is_not_reached_through_a_proxy(secure_peer, vaults, monkeypatch, closed_url):
    monkeypatch.setenv("HTTPS_PROXY", closed_url)
    secure_peer.on("GET", PATH, challenge(secure_peer), secure_peer.says(bundle(secure_peer)))

    assert await vaults.secret("contoso", "token")


def test_the_library_is_not_imported_before_a_vault_is_asked():
    script = "import reconciler.targets.clients, sys; sys.exit('azure.keyvault' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
