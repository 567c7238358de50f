"""Who may do what in the local storage account."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote

import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

from reconciler.emulator.storage.authentication import account_string, service_string
from reconciler.emulator.storage.errors import StorageError
from tests.emulator.storage.conftest import refusal as refused

HOUR = timedelta(hours=1)
BLOB = "runs/a b.csv"


@pytest.fixture(autouse=True)
async def seeded(account):
    await account.service.seed("studiostore", "models", BLOB, b"content")
    await account.service.seed("studiostore", "models", "other.csv", b"other")


async def read(account, token, blob=BLOB, container="models"):
    async with BlobClient(account.url, container, blob, credential=token) as client:
        return await (await client.download_blob()).readall()


async def write(account, token, blob=BLOB):
    async with BlobClient(account.url, "models", blob, credential=token) as client:
        await client.upload_blob(b"new", overwrite=True)


async def names(account, token):
    async with ContainerClient(account.url, "models", credential=token) as client:
        return [blob.name async for blob in client.list_blobs()]


async def refusal(work):
    """The code of what must be refused with 403."""
    status, code = await refused(work)
    assert status == 403
    return code


def blob_token(account, **options):
    options = {"permission": "r", "expiry": account.clock() + HOUR} | options
    return generate_blob_sas("studiostore", "models", BLOB, account_key=account.key, **options)


def container_token(account, **options):
    options = {"permission": "rl", "expiry": account.clock() + HOUR} | options
    return generate_container_sas("studiostore", "models", account_key=account.key, **options)


def account_token(account, **options):
    options = {
        "resource_types": ResourceTypes(service=True, container=True, object=True),
        "permission": AccountSasPermissions(read=True, list=True),
        "expiry": account.clock() + HOUR,
    } | options
    return generate_account_sas("studiostore", account.key, **options)


async def test_tokens_that_the_client_library_makes_are_accepted(account):
    assert await read(account, blob_token(account)) == b"content"
    assert await read(account, container_token(account, start=account.clock() - HOUR)) == b"content"
    assert await read(account, account_token(account)) == b"content"
    assert await names(account, container_token(account)) == ["other.csv", BLOB]


async def test_our_own_tokens_are_accepted_at_once_and_for_as_long_as_they_say(account):
    token = account.service.sign("studiostore", "models", valid_for=timedelta(hours=24))

    assert await read(account, token) == b"content"
    assert await names(account, token) == ["other.csv", BLOB]
    account.clock.ahead = timedelta(hours=23, minutes=59)
    assert await read(account, token) == b"content"


async def test_our_own_token_looks_like_those_that_the_service_puts_into_results(account):
    """classic-protocol 3: read and list, container scope, start backdated a little."""
    token = account.service.sign("studiostore", "models", valid_for=timedelta(hours=24))

    query = dict(parse_qsl(token.removeprefix("?"), strict_parsing=True))

    assert token.startswith("?sv=")
    assert (query["sr"], query["sp"]) == ("c", "rl")
    assert datetime.fromisoformat(query["se"]) - datetime.fromisoformat(query["st"]) == timedelta(hours=24, minutes=5)


async def test_a_token_for_one_blob_opens_no_other(account):
    token = account.service.sign("studiostore", "models", valid_for=HOUR, blob=BLOB)

    assert await read(account, token) == b"content"
    assert await refusal(read(account, token, blob="other.csv")) == "AuthenticationFailed"
    assert await refusal(names(account, token)) == "AuthenticationFailed"


async def test_an_expired_token_is_refused(account):
    token = account.service.sign("studiostore", "models", valid_for=HOUR)
    account.clock.ahead = HOUR

    assert await refusal(read(account, token)) == "AuthenticationFailed"


async def test_a_token_is_refused_before_it_starts(account):
    token = blob_token(account, start=account.clock() + timedelta(minutes=10), expiry=account.clock() + HOUR)

    assert await refusal(read(account, token)) == "AuthenticationFailed"
    account.clock.ahead = timedelta(minutes=11)
    assert await read(account, token) == b"content"


@pytest.mark.parametrize("change", ["sig", "sp", "se", "sr", "dropped", "twice"])
async def test_a_token_that_was_changed_is_refused(account, change):
    token = container_token(account)
    query = dict(parse_qsl(token))
    if change == "dropped":
        del query["se"]
    else:
        query["sig"] = base64.b64encode(b"x" * 32).decode() if change == "sig" else query["sig"]
        query |= {"sp": {"sp": "rwdl"}, "se": {"se": "2099-01-01T00:00:00Z"}, "sr": {"sr": "b"}}.get(change, {})
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    if change == "twice":
        text += "&sp=rwdl"

    assert await refusal(read(account, text)) == "AuthenticationFailed"


async def test_a_token_of_another_container_or_account_or_key_is_refused(account):
    elsewhere = account.service.sign("studiostore", "elsewhere", valid_for=HOUR)
    stranger = account.service.sign("other", "models", valid_for=HOUR)
    wrong_key = generate_container_sas(
        "studiostore", "models", account_key="d3Jvbmc=", permission="rl", expiry=account.clock() + HOUR
    )

    for token in (elsewhere, stranger, wrong_key):
        assert await refusal(read(account, token)) == "AuthenticationFailed"


async def test_a_permission_that_was_not_given_is_refused(account):
    assert await refusal(write(account, container_token(account))) == "AuthorizationPermissionMismatch"
    assert await refusal(names(account, container_token(account, permission="r"))) == "AuthorizationPermissionMismatch"
    assert await refusal(read(account, container_token(account, permission="w"))) == "AuthorizationPermissionMismatch"


async def test_permission_to_create_is_not_permission_to_overwrite(account):
    token = container_token(account, permission="c")

    await write(account, token, blob="new.csv")

    assert await refusal(write(account, token, blob="new.csv")) == "UnauthorizedBlobOverwrite"


async def test_a_service_sas_does_not_reach_the_container_itself(account):
    token = container_token(account, permission="racwdl")
    async with ContainerClient(account.url, "models", credential=token) as client:
        assert await refusal(client.get_container_properties()) == "AuthorizationPermissionMismatch"
        assert await refusal(client.delete_container()) == "AuthorizationPermissionMismatch"


async def test_an_account_sas_reaches_what_its_types_and_permissions_say(account):
    objects_only = account_token(account, resource_types=ResourceTypes(object=True))
    everything = account_token(
        account, permission=AccountSasPermissions(read=True, list=True, create=True, delete=True)
    )

    assert await read(account, objects_only) == b"content"
    assert await refusal(names(account, objects_only)) == "AuthorizationResourceTypeMismatch"
    async with BlobServiceClient(account.url, credential=everything) as client:
        await client.create_container("fresh")
        assert [container.name async for container in client.list_containers()] == ["fresh", "models"]
        await client.delete_container("fresh")


async def test_protocol_and_address_of_a_token_hold(account):
    assert await refusal(read(account, blob_token(account, protocol="https"))) == "AuthorizationProtocolMismatch"
    assert await refusal(read(account, blob_token(account, ip="10.0.0.1-10.0.0.9"))) == "AuthorizationSourceIPMismatch"
    assert await read(account, blob_token(account, protocol="https,http", ip="127.0.0.1")) == b"content"


async def test_a_token_sets_the_headers_that_it_was_signed_with(account):
    token = blob_token(account, content_type="text/csv", content_disposition="attachment")

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{account.url}/models/{quote(BLOB)}?{token}") as response,
    ):
        assert response.headers["Content-Type"] == "text/csv"
        assert response.headers["Content-Disposition"] == "attachment"


async def test_a_missing_blob_is_not_found_only_for_who_may_read(account):
    async with BlobClient(account.url, "models", "none", credential=container_token(account)) as client:
        assert not await client.exists()
    async with BlobClient(account.url, "models", "none") as client:
        assert await refusal(client.get_blob_properties()) == "AuthenticationFailed"


async def test_no_authentication_is_refused_with_a_body_that_says_so(account):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{account.url}/models/other.csv") as response,
    ):
        body = await response.text()

    assert response.status == 403
    assert response.headers["x-ms-error-code"] == "AuthenticationFailed"
    assert "<AuthenticationErrorDetail>The request has neither" in body


async def test_a_public_container_is_read_by_anybody_and_written_by_nobody(account):
    async with BlobServiceClient.from_connection_string(account.connection_string) as client:
        container = await client.create_container("public", public_access="blob")
        await container.upload_blob("a", b"for all")

    assert await read(account, None, blob="a", container="public") == b"for all"
    async with ContainerClient(account.url, "public") as client:
        assert await refusal(client.upload_blob("b", b"")) == "AuthenticationFailed"
        with pytest.raises(HttpResponseError):
            _ = [blob async for blob in client.list_blobs()]


@pytest.mark.parametrize(
    "connection_string",
    [
        "DefaultEndpointsProtocol=http;AccountName=studiostore;AccountKey=d3Jvbmc=;BlobEndpoint={url}",
        "DefaultEndpointsProtocol=http;AccountName=other;AccountKey={key};BlobEndpoint={url}",
    ],
)
async def test_a_wrong_key_or_account_is_refused(account, connection_string):
    connection_string = connection_string.format(url=account.url, key=account.key)
    async with BlobServiceClient.from_connection_string(connection_string) as client:
        with pytest.raises(ClientAuthenticationError):
            await client.get_blob_client("models", BLOB).get_blob_properties()


def shared_key(account, sent, path="/studiostore/models/other.csv"):
    """SharedKey as the Blob service's documentation has it, worked out here from scratch."""
    text = "GET" + "\n" * 12 + f"x-ms-date:{sent}\nx-ms-version:2021-08-06\n/studiostore{path}"
    digest = hmac.new(base64.b64decode(account.key), text.encode(), hashlib.sha256).digest()
    return {
        "x-ms-date": sent,
        "x-ms-version": "2021-08-06",
        "Authorization": f"SharedKey studiostore:{base64.b64encode(digest).decode()}",
    }


@pytest.mark.parametrize(("off", "status"), [(0, 200), (14, 200), (-14, 200), (16, 403), (-16, 403)])
async def test_a_request_signed_at_another_time_cannot_be_sent_again(account, off, status):
    sent = format_datetime(datetime.now(UTC) + timedelta(minutes=off), usegmt=True)

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{account.url}/models/other.csv", headers=shared_key(account, sent)) as response,
    ):
        assert response.status == status


@pytest.mark.parametrize("header", ["Bearer abc", "SharedKey", "SharedKey studiostore", "SharedKey studiostore:%%%"])
async def test_an_authorization_that_is_no_shared_key_is_refused(account, header):
    headers = {"Authorization": header, "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True)}

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{account.url}/models/other.csv", headers=headers) as response,
    ):
        assert response.status == 403
        assert account.key not in await response.text()


TOKEN = {"sp": "rl", "st": "S", "se": "E", "sip": "I", "spr": "P", "ses": "X", "rsct": "T"}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2012-02-12", "rl|S|E|/a/c||2012-02-12"),
        ("2013-08-15", "rl|S|E|/a/c||2013-08-15|||||T"),
        ("2015-02-21", "rl|S|E|/blob/a/c||2015-02-21|||||T"),
        ("2015-04-05", "rl|S|E|/blob/a/c||I|P|2015-04-05|||||T"),
        ("2018-11-09", "rl|S|E|/blob/a/c||I|P|2018-11-09|c||||||T"),
        ("2020-12-06", "rl|S|E|/blob/a/c||I|P|2020-12-06|c||X|||||T"),
    ],
)
def test_the_string_to_sign_is_the_one_of_the_tokens_version(version, expected):
    """The docs' own retraining sample uses sv=2013-08-15 (context 4.2)."""
    assert service_string(TOKEN | {"sv": version, "sr": "c"}, "a", "c", None) == expected.replace("|", "\n")


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2015-04-05", "a|rl|b|co|S|E|I|P|2015-04-05|"), ("2020-12-06", "a|rl|b|co|S|E|I|P|2020-12-06|X|")],
)
def test_the_string_to_sign_of_an_account_sas_has_an_encryption_scope_since_2020(version, expected):
    assert account_string(TOKEN | {"sv": version, "ss": "b", "srt": "co"}, "a") == expected.replace("|", "\n")


@pytest.mark.parametrize("query", [{"sv": "2009-09-19", "sr": "c"}, {"sr": "c"}, {"sv": "2021-08-06", "sr": "d"}])
def test_a_version_or_resource_that_is_not_known_is_refused(query):
    with pytest.raises(StorageError, match="AuthenticationFailed"):
        service_string(TOKEN | query, "a", "c", "b")


async def test_either_key_of_an_account_is_accepted_and_each_is_exchanged_by_itself(account):
    """An account has two keys, so that one can be exchanged while the other serves."""
    second = base64.b64encode(b"the other key").decode()
    account.service.exchange_key("studiostore", second, second=True)
    token = generate_blob_sas(
        "studiostore", "models", BLOB, account_key=second, permission="r", expiry=account.clock() + HOUR
    )

    assert await read(account, token) == b"content"
    assert await read(account, {"account_name": "studiostore", "account_key": second}) == b"content"
    account.service.exchange_key("studiostore", base64.b64encode(b"a new key").decode())

    assert await read(account, token) == b"content"
    assert await refusal(read(account, blob_token(account))) == "AuthenticationFailed"
    string = account.service.connection_string("studiostore", account.server_url, second=True)
    async with BlobServiceClient.from_connection_string(string) as client:
        assert [each.name async for each in client.list_containers()] == ["models"]
