"""azure-identity's own credentials, unmodified, over TLS; and what Azure Resource Manager makes of their tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import azure.identity
import azure.identity.aio
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.resources.aio import ResourceManagementClient as AsyncResourceManagementClient

SCOPE = "https://management.azure.com/.default"
SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices"
    "/BreastCancer"
)
VERSION = "2017-01-01"
OTHER_TENANT = "aaaaaaaa-3c0e-4b0e-9b5c-5a0a4c1f7e21"
STRANGER = "5e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40"


def by_secret(package, door, **options):
    return package.ClientSecretCredential(*door.identity, door.environ["AZURE_CLIENT_SECRET"], **options)


def by_certificate(package, door, **options):
    return package.CertificateCredential(*door.identity, door.environ["AZURE_CLIENT_CERTIFICATE_PATH"], **options)


def by_certificate_and_chain(package, door, **options):
    """With ``send_certificate_chain`` a client signs with another algorithm, and names its certificate otherwise."""
    return by_certificate(package, door, send_certificate_chain=True, **options)


def by_service_account(package, door, **options):
    tenant, client = door.identity
    token_file = door.environ["AZURE_FEDERATED_TOKEN_FILE"]
    return package.WorkloadIdentityCredential(tenant_id=tenant, client_id=client, token_file_path=token_file, **options)


WAYS = [by_secret, by_certificate, by_certificate_and_chain, by_service_account]


def client_of(door, credential, **options):
    return ResourceManagementClient(
        credential,
        SUBSCRIPTION,
        base_url=door.resource_manager,
        credential_scopes=[SCOPE],
        connection_verify=door.ca_file,
        retry_total=0,
        **options,
    )


@pytest.mark.parametrize("make", WAYS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_credential_signs_in(studio_door, make, host):
    authority = studio_door.authority.replace("127.0.0.1", host)
    with make(azure.identity, studio_door, **studio_door.options(authority=authority)) as credential:
        token = credential.get_token(SCOPE)
    assert jwt.decode(token.token, options={"verify_signature": False})["appid"] == studio_door.identity[1]
    assert timedelta(minutes=59) < datetime.fromtimestamp(token.expires_on, UTC) - datetime.now(UTC)


@pytest.mark.parametrize("make", WAYS)
async def test_an_async_credential_signs_in(studio_door, make):
    async with make(azure.identity.aio, studio_door, **studio_door.options()) as credential:
        assert (await credential.get_token(SCOPE)).token


@pytest.mark.parametrize("package", [azure.identity, azure.identity.aio])
@pytest.mark.parametrize(
    "taken_away",
    [(), ("AZURE_CLIENT_SECRET",), ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH")],
    ids=["secret", "certificate", "service account"],
)
async def test_the_default_credential_finds_all_of_it_in_the_environment(studio_door, monkeypatch, package, taken_away):
    for name, value in studio_door.environ.items():
        if name.startswith("AZURE_") and name not in taken_away:
            monkeypatch.setenv(name, value)
    options = studio_door.options()
    del options["authority"]  # AZURE_AUTHORITY_HOST
    credential = package.DefaultAzureCredential(**options)
    if package is azure.identity:
        with credential:
            assert credential.get_token(SCOPE).token
    else:
        async with credential:
            assert (await credential.get_token(SCOPE)).token


def test_a_wrong_secret_is_said_in_the_platforms_words(studio_door):
    with (
        azure.identity.ClientSecretCredential(*studio_door.identity, "wrong", **studio_door.options()) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        credential.get_token(SCOPE)


def test_a_tenant_that_is_not_there_is_said_to_be_missing(studio_door):
    identity = (OTHER_TENANT, studio_door.identity[1])
    with (
        azure.identity.ClientSecretCredential(*identity, "x", **studio_door.options()) as credential,
        pytest.raises(ClientAuthenticationError, match="double check your tenant"),
    ):
        credential.get_token(SCOPE)


async def test_the_management_client_reads_and_patches_over_tls(studio_door):
    async with (
        by_certificate(azure.identity.aio, studio_door, **studio_door.options()) as credential,
        AsyncResourceManagementClient(
            credential,
            SUBSCRIPTION,
            base_url=studio_door.resource_manager,
            credential_scopes=[SCOPE],
            connection_verify=studio_door.ca_file,
            polling_interval=0.05,
        ) as client,
    ):
        assert [group.name async for group in client.resource_groups.list()] == ["contoso-ml"]
        before = await client.resources.get_by_id(SERVICE, api_version=VERSION)
        # Services execute elsewhere than they are managed, and here without TLS.
        assert before["properties"]["swaggerLocation"].startswith(studio_door.cloud["managementUrl"])
        body = {"properties": {"packageType": "Graph", "assets": before["properties"]["assets"]}}
        # The poll's URL is absolute: it has to lead back to where the request went.
        poller = await client.resources.begin_update_by_id(SERVICE, body, api_version=VERSION)
        assert (await poller.result())["properties"]["provisioningState"] == "Succeeded"


def refused(door, credential) -> HttpResponseError:
    with client_of(door, credential) as client, pytest.raises(HttpResponseError) as caught:
        client.resources.get_by_id(SERVICE, api_version=VERSION)
    return caught.value


def test_a_token_for_something_else_does_not_open_resource_manager(studio_door):
    with by_secret(azure.identity, studio_door, **studio_door.options()) as credential:
        client = ResourceManagementClient(
            credential,
            SUBSCRIPTION,
            base_url=studio_door.resource_manager,
            credential_scopes=["https://storage.azure.com/.default"],
            connection_verify=studio_door.ca_file,
        )
        with client, pytest.raises(ClientAuthenticationError) as caught:
            client.resources.get_by_id(SERVICE, api_version=VERSION)
    assert caught.value.status_code == 401
    assert caught.value.error.code == "InvalidAuthenticationTokenAudience"


def test_a_token_expires_after_the_time_that_the_studio_file_sets(start_studio, door):
    late = timedelta(0)
    studio = start_studio(timings={"tokenValidFor": "10m"}, clock=lambda: datetime.now(UTC) + late)
    opened = door(studio)
    with by_secret(azure.identity, opened, **opened.options()) as credential:
        token = credential.get_token(SCOPE)
        assert token.expires_on - datetime.now(UTC).timestamp() <= 600
        with client_of(opened, credential) as client:
            client.resources.get_by_id(SERVICE, api_version=VERSION)
            late = timedelta(minutes=10)
            with pytest.raises(ClientAuthenticationError) as caught:
                client.resources.get_by_id(SERVICE, api_version=VERSION)
    assert caught.value.error.code == "ExpiredAuthenticationToken"


def test_a_principal_of_another_tenant_signs_in_there_and_is_refused_here(start_studio, door):
    stranger = {"tenantId": OTHER_TENANT, "clientId": STRANGER, "clientSecretEnv": "STRANGER_SECRET"}
    opened = door(start_studio(principals=[stranger]))
    secret = opened.environ["STRANGER_SECRET"]
    with azure.identity.ClientSecretCredential(OTHER_TENANT, STRANGER, secret, **opened.options()) as credential:
        assert refused(opened, credential).error.code == "InvalidAuthenticationTokenTenant"
