"""Getting a token for Resource Manager, with azure-identity."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace

import pytest
from azure.core.pipeline.policies import AsyncRetryPolicy
from pydantic import SecretStr

from reconciler.azure.clouds import PUBLIC
from reconciler.azure.errors import ServiceError, SignInError, Unreachable
from reconciler.azure.sign_in import SignIn

SCOPE = "https://management.azure.com/.default"
TENANT = "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21"
TOKEN = f"/{TENANT}/oauth2/v2.0/token"
VALUES = {"CLIENT_ID": SecretStr("client-1"), "CLIENT_SECRET": SecretStr("s3cret & more")}
ANSWER = {"access_token": "t-1", "expires_in": 3600, "token_type": "Bearer"}


@pytest.fixture
def signing_in_cloud(cloud, secure_peer, ca_file):
    """A cloud as a Studio's file describes it, its authority at the peer."""
    return replace(
        cloud,
        authority=secure_peer.url,
        ca_file=ca_file,
        tenant_id=TENANT,
        client_id_env="CLIENT_ID",
        client_secret_env="CLIENT_SECRET",
    )


@pytest.fixture
async def sign_in(signing_in_cloud):
    async with SignIn(signing_in_cloud, VALUES.__getitem__) as made:
        yield made


async def test_a_cloud_that_names_a_client_is_signed_in_to_as_that_client(secure_peer, sign_in):
    secure_peer.on("POST", TOKEN, secure_peer.says(ANSWER))

    token = await sign_in.get_token(SCOPE)

    assert token.token == "t-1"
    form = dict(pair.split("=") for pair in secure_peer.seen[0].body.decode().split("&"))
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "s3cret+%26+more",
        "scope": "https%3A%2F%2Fmanagement.azure.com%2F.default",
    }


async def test_the_environments_own_client_is_not_sent_there(secure_peer, sign_in, monkeypatch):
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.example")
    secure_peer.on("POST", TOKEN, secure_peer.says(ANSWER))

    await sign_in.get_token(SCOPE)

    assert b"real" not in secure_peer.seen[0].body


async def test_loopback_is_not_reached_through_a_proxy(secure_peer, sign_in, monkeypatch, closed_url):
    monkeypatch.setenv("HTTPS_PROXY", closed_url)
    secure_peer.on("POST", TOKEN, secure_peer.says(ANSWER))

    assert (await sign_in.get_token(SCOPE)).token == "t-1"


async def test_a_token_is_kept(secure_peer, sign_in):
    secure_peer.on("POST", TOKEN, secure_peer.says(ANSWER))

    for _ in range(3):
        await sign_in.get_token(SCOPE)

    assert len(secure_peer.seen) == 1


async def test_a_lost_reply_is_asked_for_again(secure_peer, sign_in):
    secure_peer.on("POST", TOKEN, secure_peer.cuts, secure_peer.says(ANSWER))

    assert (await sign_in.get_token(SCOPE)).token == "t-1"


@pytest.mark.parametrize("status", [400, 401])
async def test_a_client_that_is_not_accepted_is_a_sign_in_error_in_the_authoritys_words(secure_peer, sign_in, status):
    content = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret s3cret & more."}
    secure_peer.on("POST", TOKEN, secure_peer.says(content, status))

    with pytest.raises(SignInError, match=rf"sign in to local: {status} invalid_client: AADSTS7000215") as raised:
        await sign_in.get_token(SCOPE)

    assert "s3cret" not in str(raised.value)


async def test_a_failure_is_not_kept_and_not_printed_beside_its_error(secure_peer, sign_in, capsys):
    secure_peer.on("POST", TOKEN, secure_peer.says({"error": "invalid_client"}, 401), secure_peer.says(ANSWER))

    with pytest.raises(SignInError):
        await sign_in.get_token(SCOPE)

    assert (await sign_in.get_token(SCOPE)).token == "t-1"
    assert logging.getLogger("azure.identity").hasHandlers()
    assert capsys.readouterr().err == ""


async def test_a_client_whose_secret_was_exchanged_signs_in_with_the_new_one(secure_peer, signing_in_cloud):
    """An env file was written anew while a run goes on."""
    secrets = iter([VALUES["CLIENT_SECRET"], SecretStr("a-new-one"), SecretStr("a-new-one")])
    secure_peer.on("POST", TOKEN, secure_peer.says({"error": "invalid_client"}, 401), secure_peer.says(ANSWER))

    def secret(name: str) -> SecretStr:
        return next(secrets) if name == "CLIENT_SECRET" else VALUES[name]

    async with SignIn(signing_in_cloud, secret) as sign_in:
        assert (await sign_in.get_token(SCOPE)).token == "t-1"

    assert [b"s3cret" in seen.body for seen in secure_peer.seen] == [True, False]
    assert b"a-new-one" in secure_peer.seen[1].body


async def test_a_client_whose_secret_is_the_same_is_sent_once(secure_peer, sign_in):
    secure_peer.on("POST", TOKEN, secure_peer.says({"error": "invalid_client"}, 401))

    with pytest.raises(SignInError):
        await sign_in.get_token(SCOPE)

    assert len(secure_peer.seen) == 1


async def test_an_answer_without_a_token_is_an_error(secure_peer, sign_in):
    secure_peer.on("POST", TOKEN, secure_peer.says({}))

    with pytest.raises(ServiceError, match="sign in to local"):
        await sign_in.get_token(SCOPE)


async def test_an_authority_whose_certificate_nobody_vouches_for_gets_no_secret(
    secure_peer, signing_in_cloud, monkeypatch
):
    # It is asked as often as ever, and nobody waits in between.
    monkeypatch.setattr(AsyncRetryPolicy, "get_backoff_time", lambda *_: 0)
    async with SignIn(replace(signing_in_cloud, ca_file=None), VALUES.__getitem__) as sign_in:
        with pytest.raises(Unreachable, match=r"sign in to local.*certificate verify failed"):
            await sign_in.get_token(SCOPE)

    assert secure_peer.seen == []


async def test_the_secrets_are_not_asked_for_before_a_token_is(signing_in_cloud):
    asked: list[str] = []

    def secret(name: str) -> SecretStr:
        asked.append(name)
        raise LookupError(name)

    async with SignIn(signing_in_cloud, secret) as sign_in:
        assert asked == []
        with pytest.raises(LookupError, match="CLIENT_ID"):
            await sign_in.get_token(SCOPE)


async def test_any_other_cloud_takes_the_default_chain(secure_peer, signing_in_cloud, monkeypatch):
    """Which finds a client in the environment, and signs in at the cloud's authority."""
    environ = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": "client-2", "AZURE_CLIENT_SECRET": "x"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    cloud = replace(signing_in_cloud, tenant_id=None, client_id_env=None, client_secret_env=None)
    secure_peer.on("POST", TOKEN, secure_peer.says(ANSWER))

    async with SignIn(cloud, VALUES.__getitem__) as sign_in:
        assert (await sign_in.get_token(SCOPE)).token == "t-1"

    assert b"client_id=client-2" in secure_peer.seen[0].body


async def test_a_chain_that_finds_nobody_is_a_sign_in_error(monkeypatch):
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    # Of the chain, the one that asks nothing but the environment.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")

    async with SignIn(PUBLIC, VALUES.__getitem__) as sign_in:
        with pytest.raises(SignInError, match=r"sign in to public: .*EnvironmentCredential"):
            await sign_in.get_token(SCOPE)


async def test_once_closed_it_signs_in_anew(secure_peer, sign_in):
    secure_peer.on("POST", TOKEN, secure_peer.says(ANSWER))

    await sign_in.get_token(SCOPE)
    await sign_in.close()
    await sign_in.get_token(SCOPE)

    assert len(secure_peer.seen) == 2


def test_azure_identity_is_not_imported_before_it_is_needed():
    """It takes 0.3 s, which a fleet without New web services need not wait."""
    script = "import reconciler.targets.clients, sys; sys.exit('azure.identity' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_sign_in_errors_are_service_errors():
    assert issubclass(SignInError, ServiceError)
