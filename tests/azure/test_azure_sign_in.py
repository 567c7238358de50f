"""Getting a token for Resource Manager."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr

from reconciler.azure.clouds import PUBLIC
from reconciler.azure.errors import InvalidReply, ServiceError, SignInError, Unreachable
from reconciler.azure.sign_in import ClientCredentials, credential_for

SCOPE = "https://management.azure.com/.default"
TOKEN = "/tenant-1/oauth2/v2.0/token"
VALUES = {"CLIENT_ID": SecretStr("client-1"), "CLIENT_SECRET": SecretStr("s3cret & more")}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def credential(cloud, http, clock):
    return ClientCredentials(cloud, http, VALUES.__getitem__, clock=clock)


async def test_a_cloud_with_a_token_endpoint_is_signed_in_to_with_client_credentials(peer, credential):
    peer.on("POST", TOKEN, peer.says({"access_token": "t-1", "expires_in": 3600, "token_type": "Bearer"}))

    token = await credential.get_token(SCOPE)

    assert (token.token, token.expires_on) == ("t-1", 4600)
    form = dict(pair.split("=") for pair in peer.seen[0].body.decode().split("&"))
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "s3cret+%26+more",
        "scope": "https%3A%2F%2Fmanagement.azure.com%2F.default",
    }


async def test_a_token_is_kept_until_shortly_before_it_expires(peer, credential, clock):
    peer.on(
        "POST",
        TOKEN,
        peer.says({"access_token": "t-1", "expires_in": "3600"}),
        peer.says({"access_token": "t-2", "expires_in": 3600}),
    )

    first = await credential.get_token(SCOPE)
    clock.now += 3_299
    again = await credential.get_token(SCOPE)
    clock.now += 2
    later = await credential.get_token(SCOPE)

    assert [token.token for token in (first, again, later)] == ["t-1", "t-1", "t-2"]


async def test_tasks_that_want_a_token_at_once_share_one_request(peer, credential):
    peer.on("POST", TOKEN, peer.says({"access_token": "t-1", "expires_in": 3600}))

    tokens = await asyncio.gather(*(credential.get_token(SCOPE) for _ in range(20)))

    assert {token.token for token in tokens} == {"t-1"}
    assert len(peer.seen) == 1


async def test_a_failure_is_not_kept(peer, credential):
    peer.on("POST", TOKEN, peer.refuses(400, "x"), peer.says({"access_token": "t-1", "expires_in": 60}))

    with pytest.raises(SignInError):
        await credential.get_token(SCOPE)

    assert (await credential.get_token(SCOPE)).token == "t-1"


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_client_that_is_not_accepted_is_a_sign_in_error_in_the_endpoints_words(peer, credential, status):
    content = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret s3cret & more."}
    peer.on("POST", TOKEN, peer.says(content, status))

    with pytest.raises(SignInError, match=rf"sign in to local: {status} invalid_client: AADSTS7000215") as raised:
        await credential.get_token(SCOPE)

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [[], {}, {"access_token": ""}, {"access_token": "t"}, {"access_token": "t", "expires_in": "soon"}]
)
async def test_an_answer_without_a_token_is_invalid(peer, credential, content):
    peer.on("POST", TOKEN, peer.says(content))

    with pytest.raises(InvalidReply):
        await credential.get_token(SCOPE)


async def test_an_endpoint_that_is_not_there_is_unreachable(cloud, http, closed_url):
    credential = ClientCredentials(replace(cloud, token_url=closed_url), http, VALUES.__getitem__)

    with pytest.raises(Unreachable):
        await credential.get_token(SCOPE)


async def test_the_secrets_are_not_asked_for_before_a_token_is(cloud, http):
    asked: list[str] = []

    def secret(name: str) -> SecretStr:
        asked.append(name)
        raise LookupError(name)

    credential = credential_for(cloud, http, secret)
    assert asked == []

    with pytest.raises(LookupError, match="CLIENT_ID"):
        await credential.get_token(SCOPE)


async def test_a_cloud_whose_sign_in_is_incomplete_says_so(cloud, http):
    with pytest.raises(SignInError, match="no client to sign in as"):
        await ClientCredentials(replace(cloud, client_id_env=None), http, VALUES.__getitem__).get_token(SCOPE)


async def test_a_real_cloud_takes_the_default_chain(http):
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - late here as in the room

    async with credential_for(PUBLIC, http, VALUES.__getitem__) as credential:
        assert isinstance(credential, DefaultAzureCredential)


async def test_it_is_closed_like_any_credential(peer, credential):
    peer.on("POST", TOKEN, peer.says({"access_token": "t-1", "expires_in": 3600}))

    async with credential as opened:
        await opened.get_token(SCOPE)
    await credential.get_token(SCOPE)

    assert len(peer.seen) == 2


def test_sign_in_errors_are_service_errors():
    assert issubclass(SignInError, ServiceError)
