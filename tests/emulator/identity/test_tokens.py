"""The token endpoint of the local Studio, and what Azure Resource Manager says to a token."""

from __future__ import annotations

import base64
import hashlib
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler.emulator.arm.authorization import Authorization
from reconciler.emulator.arm.errors import ArmError
from reconciler.emulator.config.principals import Principal
from reconciler.emulator.context import Secrets
from reconciler.emulator.documents import Documents
from reconciler.emulator.identity.certificates import certificate_in, new_rsa_key, rsa_key
from reconciler.emulator.identity.client_assertions import CLUSTER, EXCHANGE_AUDIENCE, TYPE
from reconciler.emulator.identity.errors import SignInRefused
from reconciler.emulator.identity.routes import Identities, SignIn

TENANT = "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21"
OTHER_TENANT = "aaaaaaaa-3c0e-4b0e-9b5c-5a0a4c1f7e21"
CLIENT = "b7c9e2d0-5f38-4d7a-8f0c-1e2d3c4b5a69"
READER = "4e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40"
STRANGER = "5e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40"
SUBJECT = "system:serviceaccount:ns:sa"
AUTHORITY = "https://127.0.0.1:7443"
TOKEN_ENDPOINT = f"{AUTHORITY}/{TENANT}/oauth2/v2.0/token"
FORM = {
    "grant_type": "client_credentials",
    "client_id": CLIENT,
    "scope": "https://management.azure.com/.default",
}
PRINCIPALS = {
    "principal": Principal.model_validate(
        {
            "tenantId": TENANT,
            "clientId": CLIENT,
            "certificateEnv": "CERTIFICATE",
            "federated": {"subject": SUBJECT, "tokenFileEnv": "TOKEN"},
        }
    ),
    "principals": (
        Principal.model_validate({"tenantId": TENANT, "clientId": READER, "clientSecretEnv": "READER_SECRET"}),
        Principal.model_validate({"tenantId": OTHER_TENANT, "clientId": STRANGER, "clientSecretEnv": "STRANGER"}),
    ),
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def documents():
    """With the keys in it, which take a while to make."""
    return Documents.open(None)


@pytest.fixture
def make_context(documents, clock):
    """As much of a Studio as sign-in needs."""

    def made(**changes):
        studio = SimpleNamespace(timings=SimpleNamespace(token_valid_for=timedelta(hours=1)), **PRINCIPALS | changes)
        secrets = Secrets(documents)
        return SimpleNamespace(studio=studio, secrets=secrets, clock=clock, secure_url=AUTHORITY)

    return made


@pytest.fixture
def context(make_context):
    return make_context()


@pytest.fixture
def sign_in(context):
    return SignIn(context)


@pytest.fixture
def authorization(context):
    return Authorization(context)


@pytest.fixture
def form(context):
    return {**FORM, "client_secret": context.secrets.client_secret()}


def refusal(authorization, header) -> ArmError:
    with pytest.raises(ArmError) as caught:
        authorization.principal_of(header)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith(f'Bearer authorization_uri="{AUTHORITY}/{TENANT}"')
    return caught.value


@pytest.mark.parametrize(
    "scope",
    [
        "https://management.azure.com/.default",
        "https://management.azure.com//.default",
        "https://management.core.windows.net//.default",
    ],
)
def test_an_issued_token_lets_requests_pass_until_it_expires(sign_in, authorization, form, clock, scope):
    answer = sign_in.issue(TENANT, {**form, "scope": scope})
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert authorization.principal_of(f"Bearer {answer['access_token']}").client_id == CLIENT
    clock.now += timedelta(minutes=59, seconds=59)
    authorization.principal_of(f"bearer {answer['access_token']}")
    clock.now += timedelta(seconds=1)
    error = refusal(authorization, f"Bearer {answer['access_token']}")
    assert error.code == "ExpiredAuthenticationToken"
    assert "'2026-11-24T13:00:00" in error.message


def test_a_token_has_the_claims_of_an_application_token(sign_in, form):
    answer = sign_in.issue(TENANT, {**form, "scope": "https://management.azure.com//.default"})
    header = jwt.get_unverified_header(answer["access_token"])
    key = next(key for key in jwt.PyJWKSet.from_dict(dict(sign_in.tokens.keys())).keys if key.key_id == header["kid"])
    audience = "https://management.azure.com/"
    claims = jwt.decode(
        answer["access_token"],
        key,
        ["RS256"],
        audience=audience,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    names = ("aud", "appid", "appidacr", "tid", "iss", "idtyp", "ver")
    assert [claims[name] for name in names] == [
        audience,
        CLIENT,
        "1",
        TENANT,
        f"https://sts.windows.net/{TENANT}/",
        "app",
        "1.0",
    ]
    assert claims["oid"] == claims["sub"] != CLIENT


@pytest.mark.parametrize(
    ("change", "tenant", "expected"),
    [
        ({"client_secret": "wrong"}, TENANT, (401, "invalid_client", 7000215)),
        ({"client_secret": "wröng"}, TENANT, (401, "invalid_client", 7000215)),
        ({"client_secret": ""}, TENANT, (401, "invalid_client", 7000218)),
        ({"client_id": TENANT}, TENANT, (400, "unauthorized_client", 700016)),
        ({"client_id": STRANGER}, TENANT, (400, "unauthorized_client", 700016)),
        ({"client_id": READER}, TENANT, (401, "invalid_client", 7000215)),
        ({"scope": "https://cosmos.azure.com/.default"}, TENANT, (400, "invalid_resource", 500011)),
        ({"scope": "https://management.azure.com/"}, TENANT, (400, "invalid_scope", 1002012)),
        ({"grant_type": "password"}, TENANT, (400, "unsupported_grant_type", 70003)),
        ({"scope": ""}, TENANT, (400, "invalid_request", 900144)),
        ({"client_assertion": "x"}, TENANT, (400, "invalid_request", 900144)),
        ({}, CLIENT, (400, "invalid_request", 90002)),
    ],
)
def test_a_wrong_request_for_a_token_is_refused(sign_in, form, change, tenant, expected):
    with pytest.raises(SignInRefused) as caught:
        sign_in.issue(tenant, {**form, **change})
    assert (caught.value.status, caught.value.error, caught.value.number) == expected
    assert str(caught.value).startswith("AADSTS")


def test_each_principal_has_a_secret_of_its_own(sign_in, authorization, context, form):
    secret = context.secrets.client_secret(READER)
    token = sign_in.issue(TENANT, {**form, "client_id": READER.upper(), "client_secret": secret})["access_token"]
    assert authorization.principal_of(f"Bearer {token}").client_id == READER


def test_a_principal_without_a_secret_takes_none(make_context, form):
    sign_in = SignIn(make_context(principals=(Principal(tenant_id=TENANT, client_id=READER),)))
    with pytest.raises(SignInRefused, match="AADSTS7000215"):
        sign_in.issue(TENANT, {**form, "client_id": READER})


def test_a_refusal_never_repeats_the_secret(sign_in, form):
    with pytest.raises(SignInRefused) as caught:
        sign_in.issue(TENANT, {**form, "client_secret": "nearly right"})
    assert "nearly right" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "AuthenticationFailed"),
        ("", "AuthenticationFailed"),
        ("Bearer made up", "InvalidAuthenticationToken"),
        ("Bearer", "InvalidAuthenticationToken"),
        ("Basic Zm9vOmJhcg==", "InvalidAuthenticationToken"),
    ],
)
def test_a_request_without_a_good_token_is_challenged(authorization, header, code):
    assert refusal(authorization, header).code == code


@pytest.mark.parametrize("algorithm", ["RS256", "HS256", "none"])
def test_a_token_that_somebody_else_signed_is_none(sign_in, authorization, form, client_key, algorithm):
    claims = jwt.decode(sign_in.issue(TENANT, form)["access_token"], options={"verify_signature": False})
    key = {"RS256": client_key, "HS256": "k" * 32, "none": ""}[algorithm]
    forged = jwt.encode(claims, key, algorithm)
    assert refusal(authorization, f"Bearer {forged}").code == "InvalidAuthenticationToken"


def test_a_token_for_another_audience_is_refused(sign_in, authorization, form):
    token = sign_in.issue(TENANT, {**form, "scope": "https://storage.azure.com/.default"})["access_token"]
    error = refusal(authorization, f"Bearer {token}")
    assert error.code == "InvalidAuthenticationTokenAudience"
    assert "'https://storage.azure.com'" in error.message


def test_a_token_of_another_tenant_is_refused(sign_in, authorization, context, form):
    secret = context.secrets.client_secret(STRANGER)
    token = sign_in.issue(OTHER_TENANT, {**form, "client_id": STRANGER, "client_secret": secret})["access_token"]
    error = refusal(authorization, f"Bearer {token}")
    assert error.code == "InvalidAuthenticationTokenTenant"
    assert f"https://sts.windows.net/{OTHER_TENANT}/" in error.message


def test_a_token_outlives_a_restart_but_not_its_principal(sign_in, make_context, form):
    token = sign_in.issue(TENANT, form)["access_token"]
    assert Authorization(make_context()).principal_of(f"Bearer {token}").client_id == CLIENT
    changed = make_context(principal=Principal(tenant_id=TENANT, client_id=TENANT))
    assert refusal(Authorization(changed), f"Bearer {token}").code == "InvalidAuthenticationToken"


# -- client assertions -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def client_key():
    """A key that is registered nowhere."""
    return rsa_key(new_rsa_key())


@pytest.fixture
def certificate(context):
    return Identities(context).certificate(context.studio.principal)


@pytest.fixture
def own_claims(clock):
    return {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": TOKEN_ENDPOINT,
        "jti": "1",
        "nbf": clock.now.timestamp(),
        "exp": (clock.now + timedelta(minutes=10)).timestamp(),
    }


@pytest.fixture
def signed(certificate):
    """Signs claims with the registered certificate, which the header names by one of its thumbprints."""

    def sign(claims, algorithm="RS256", named="x5t", key=None):
        der = certificate_in(certificate).public_bytes(Encoding.DER)
        digest = {"x5t": hashlib.sha1, "kid": hashlib.sha1, "x5t#S256": hashlib.sha256}[named](der).digest()
        header = {named: base64.urlsafe_b64encode(digest).decode().rstrip("=")}
        return jwt.encode(claims, key or rsa_key(certificate), algorithm, headers=header)

    return sign


def proven(sign_in, assertion, authority=AUTHORITY, **form):
    filled = {**FORM, "client_assertion": assertion, "client_assertion_type": TYPE, **form}
    return sign_in.issue(TENANT, filled, authority)["access_token"]


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize("named", ["x5t", "x5t#S256", "kid"])
def test_an_assertion_by_the_registered_certificate_is_as_good_as_a_secret(
    sign_in, authorization, signed, own_claims, algorithm, named
):
    token = proven(sign_in, signed(own_claims, algorithm, named))
    assert authorization.principal_of(f"Bearer {token}").client_id == CLIENT
    assert jwt.decode(token, options={"verify_signature": False})["appidacr"] == "2"


def test_an_assertion_may_be_used_again_as_clients_do(sign_in, signed, own_claims):
    assertion = signed(own_claims)
    assert proven(sign_in, assertion) != proven(sign_in, assertion)


def test_the_tenant_is_as_good_an_audience_as_the_token_endpoint(sign_in, signed, own_claims):
    proven(sign_in, signed({**own_claims, "aud": f"{AUTHORITY}/{TENANT}/v2.0"}))


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"sub": READER}, 700021),
        ({"aud": f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"}, 700023),
        ({"aud": None}, 700023),
        ({"jti": ""}, 50027),
        ({"exp": "soon"}, 50027),
        ({"exp": 1e400}, 50027),
        ({"exp": datetime(2026, 11, 24, 11, tzinfo=UTC).timestamp()}, 700024),
        ({"nbf": datetime(2026, 11, 24, 13, tzinfo=UTC).timestamp()}, 700024),
    ],
)
def test_an_assertion_that_says_something_else_is_refused(sign_in, signed, own_claims, changes, number):
    with pytest.raises(SignInRefused) as caught:
        proven(sign_in, signed({**own_claims, **changes}))
    assert (caught.value.error, caught.value.number) == ("invalid_client", number)


def test_an_assertion_by_another_key_is_refused(sign_in, signed, own_claims, client_key):
    with pytest.raises(SignInRefused, match=r"AADSTS700027.*invalid signature"):
        proven(sign_in, signed(own_claims, key=client_key))


def test_an_assertion_by_a_certificate_that_is_not_registered_is_refused(sign_in, own_claims, client_key):
    with pytest.raises(SignInRefused, match=r"AADSTS700027.*not registered.*'abc'"):
        proven(sign_in, jwt.encode(own_claims, client_key, "RS256", headers={"x5t": "abc"}))


def test_a_principal_without_a_certificate_takes_no_assertion(make_context, own_claims, client_key):
    sign_in = SignIn(make_context(principal=Principal(tenant_id=TENANT, client_id=CLIENT)))
    with pytest.raises(SignInRefused, match="AADSTS700027"):
        proven(sign_in, jwt.encode(own_claims, client_key, "RS256"))


def test_what_is_no_jwt_is_no_assertion(sign_in):
    with pytest.raises(SignInRefused, match="AADSTS50027"):
        proven(sign_in, "a.b.c")


@pytest.fixture
def account_claims(clock):
    """What a cluster says in the token of a pod."""
    return {
        "iss": CLUSTER,
        "sub": SUBJECT,
        "aud": [EXCHANGE_AUDIENCE],
        "exp": (clock.now + timedelta(hours=1)).timestamp(),
    }


@pytest.fixture
def cluster_key(context):
    return rsa_key(Identities(context).cluster_key())


def test_a_service_account_of_the_cluster_is_as_good_as_a_secret(sign_in, authorization, account_claims, cluster_key):
    token = proven(sign_in, jwt.encode(account_claims, cluster_key, "RS256"))
    assert authorization.principal_of(f"Bearer {token}").client_id == CLIENT


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"iss": "https://oidc.example/"}, 700211),
        ({"sub": "system:serviceaccount:ns:other"}, 700213),
        ({"aud": ["https://kubernetes.default.svc"]}, 700212),
        ({"exp": datetime(2026, 11, 24, 11, tzinfo=UTC).timestamp()}, 700024),
    ],
)
def test_another_service_account_is_refused(sign_in, account_claims, cluster_key, changes, number):
    with pytest.raises(SignInRefused) as caught:
        proven(sign_in, jwt.encode({**account_claims, **changes}, cluster_key, "RS256"))
    assert (caught.value.status, caught.value.number) == (401, number)


def test_a_service_account_of_another_cluster_with_the_same_name_is_refused(sign_in, account_claims, client_key):
    with pytest.raises(SignInRefused, match="AADSTS700027"):
        proven(sign_in, jwt.encode(account_claims, client_key, "RS256"))


# -- the endpoints ---------------------------------------------------------------------------------------------------


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
        status, headers, body = await ask(client_secret="nearly right")
    assert (status, body["error"], body["error_codes"]) == (401, "invalid_client", [7000215])
    assert body["error_description"].startswith("AADSTS7000215: ")
    assert "no-store" in headers["Cache-Control"]
    assert "nearly right" not in f"{body} {caplog.text}"


async def test_the_endpoint_refuses_a_form_without_a_secret(ask):
    status, _, body = await ask(client_secret="")
    assert (status, body["error"]) == (401, "invalid_client")


async def test_discovery_leads_from_the_tenant_to_its_keys(client):
    tenant = client.context.studio.principal.tenant_id
    found = (await client.send("GET", f"/{tenant}/v2.0/.well-known/openid-configuration")).body
    assert found["issuer"] == f"{client.url}/{tenant}/v2.0"
    assert found["token_endpoint"] == f"{client.url}/{tenant}/oauth2/v2.0/token"
    (key,) = (await client.send("GET", found["jwks_uri"])).body["keys"]
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


async def test_discovery_knows_no_other_tenant(client):
    reply = await client.send("GET", f"/{OTHER_TENANT}/v2.0/.well-known/openid-configuration")
    assert (reply.status, reply.body["error_codes"]) == (400, [90002])


async def test_instance_discovery_knows_this_authority_alone(client):
    own = f"{client.url}/{TENANT}"
    path = "/common/discovery/instance"
    query = {"api-version": "1.1"}
    reply = await client.send("GET", path, **query, authorization_endpoint=f"{own}/oauth2/v2.0/authorize")
    assert reply.body["tenant_discovery_endpoint"] == f"{own}/v2.0/.well-known/openid-configuration"
    elsewhere = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/authorize"
    reply = await client.send("GET", path, **query, authorization_endpoint=elsewhere)
    assert (reply.status, reply.body["error"]) == (400, "invalid_instance")
