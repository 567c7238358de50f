"""The token endpoint of the local Studio, and what Azure Resource Manager says to a token."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.emulator.arm_errors import ArmError
from reconciler.emulator.documents import Documents
from reconciler.emulator.sign_in import SignIn, SignInRefused
from reconciler.emulator.studio_file import Principal

TENANT = "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21"
CLIENT = "b7c9e2d0-5f38-4d7a-8f0c-1e2d3c4b5a69"
SECRET = "the client's secret"
FORM = {
    "grant_type": "client_credentials",
    "client_id": CLIENT,
    "client_secret": SECRET,
    "scope": "https://management.azure.com/.default",
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens():
    return Documents.open(None).collection("access-tokens")


@pytest.fixture
def sign_in(tokens, clock):
    return SignIn(Principal(tenant_id=TENANT, client_id=CLIENT), lambda: SECRET, tokens, clock)


def refusal(sign_in, authorization) -> str:
    with pytest.raises(ArmError) as caught:
        sign_in.check(authorization)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer ")
    return caught.value.code


@pytest.mark.parametrize(
    "scope",
    [
        "https://management.azure.com/.default",
        "https://management.azure.com//.default",
        "https://management.core.windows.net//.default",
    ],
)
def test_an_issued_token_lets_requests_pass_for_an_hour(sign_in, clock, scope):
    answer = sign_in.issue(TENANT, {**FORM, "scope": scope})
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    sign_in.check(f"Bearer {answer['access_token']}")
    clock.now += timedelta(minutes=59, seconds=59)
    sign_in.check(f"bearer {answer['access_token']}")
    clock.now += timedelta(seconds=1)
    assert refusal(sign_in, f"Bearer {answer['access_token']}") == "ExpiredAuthenticationToken"


@pytest.mark.parametrize(
    ("change", "tenant", "expected"),
    [
        ({"client_secret": "wrong"}, TENANT, (401, "invalid_client")),
        ({"client_secret": "wröng"}, TENANT, (401, "invalid_client")),
        ({"client_id": TENANT}, TENANT, (400, "unauthorized_client")),
        ({"scope": "https://storage.azure.com/.default"}, TENANT, (400, "invalid_scope")),
        ({"scope": "https://management.azure.com/"}, TENANT, (400, "invalid_scope")),
        ({"grant_type": "password"}, TENANT, (400, "unsupported_grant_type")),
        ({"scope": ""}, TENANT, (400, "invalid_request")),
        ({}, CLIENT, (400, "invalid_request")),
    ],
)
def test_a_wrong_request_for_a_token_is_refused(sign_in, tokens, change, tenant, expected):
    with pytest.raises(SignInRefused) as caught:
        sign_in.issue(tenant, {**FORM, **change})
    assert (caught.value.status, caught.value.error) == expected
    assert str(caught.value).startswith("AADSTS")
    assert len(tokens) == 0


def test_a_refusal_never_repeats_the_secret(sign_in):
    with pytest.raises(SignInRefused) as caught:
        sign_in.issue(TENANT, {**FORM, "client_secret": "nearly right"})
    assert "nearly right" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "AuthenticationFailed"),
        ("", "AuthenticationFailed"),
        ("Bearer made up", "InvalidAuthenticationToken"),
        ("Bearer", "InvalidAuthenticationToken"),
        ("Basic Zm9vOmJhcg==", "InvalidAuthenticationToken"),
    ],
)
def test_a_request_without_a_good_token_is_challenged(sign_in, authorization, code):
    assert refusal(sign_in, authorization) == code


def test_a_token_for_another_audience_is_refused(sign_in, tokens):
    token = sign_in.issue(TENANT, FORM)["access_token"]
    (digest,) = tokens
    tokens[digest] = {**tokens[digest], "audience": "https://storage.azure.com"}
    assert refusal(sign_in, f"Bearer {token}") == "InvalidAuthenticationTokenAudience"


def test_tokens_are_kept_as_digests_and_forgotten_a_day_after_they_expired(sign_in, tokens, clock):
    token = sign_in.issue(TENANT, FORM)["access_token"]
    assert token not in str(dict(tokens))
    clock.now += timedelta(hours=26)
    sign_in.issue(TENANT, FORM)
    assert len(tokens) == 1


@pytest.fixture
def ask(client):
    """Posts a form to the token endpoint of a running Studio."""

    async def post(**form):
        principal = client.context.studio.principal
        filled = {**FORM, "client_id": principal.client_id, **form}
        url = f"{client.url}/{principal.tenant_id}/oauth2/v2.0/token"
        async with client.session.post(url, data=filled) as reply:
            return reply.status, reply.headers, await reply.json()

    return post


async def test_the_endpoint_takes_a_form_and_answers_with_a_bearer_token(ask, client):
    status, headers, body = await ask(client_secret=client.context.secrets.client_secret())
    assert (status, body["token_type"], body["expires_in"]) == (200, "Bearer", 3599)
    assert "no-store" in headers["Cache-Control"]
    groups = f"/subscriptions/{client.context.studio.subscriptions[0].id}/resourcegroups?api-version=2021-04-01"
    assert (await client.send("GET", groups, token=body["access_token"])).status == 200


async def test_the_endpoint_says_what_is_wrong_in_the_platforms_form(ask, caplog):
    with caplog.at_level(logging.DEBUG):
        status, _, body = await ask(client_secret="nearly right")
    assert (status, body["error"], body["error_codes"]) == (401, "invalid_client", [7000215])
    assert body["error_description"].startswith("AADSTS7000215: ")
    assert "nearly right" not in f"{body} {caplog.text}"


async def test_the_endpoint_refuses_a_form_without_a_secret(ask):
    status, _, body = await ask(client_secret="")
    assert (status, body["error"]) == (400, "invalid_request")
