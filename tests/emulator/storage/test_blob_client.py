"""Blobs by reference, as batch jobs and endpoint updates name them."""

import os
from datetime import timedelta

import pytest
from aiohttp import web
from azure.storage.blob.aio import BlobServiceClient

from reconciler.emulator.storage.client import BlobAccessError, BlobClient, BlobReference

HOUR = timedelta(hours=1)


@pytest.fixture
async def blobs():
    async with BlobClient() as client:
        yield client


@pytest.fixture(autouse=True)
async def seeded(account):
    await account.service.seed("studiostore", "models", "runs/model.ilearner", b"content")


def by_sas(account, relative="models/runs/model.ilearner", *, base=None, permissions="rl"):
    token = account.service.sign("studiostore", "models", permissions=permissions, valid_for=HOUR)
    return BlobReference(relative, base_location=base or account.url, sas_blob_token=token)


@pytest.mark.parametrize("base_end", ["", "/"])
@pytest.mark.parametrize("relative_start", ["", "/"])
async def test_slashes_may_be_there_or_not(account, blobs, base_end, relative_start):
    """classic-protocol 1.7: both forms are seen, of both locations."""
    relative = f"{relative_start}models/runs/model.ilearner"
    for reference in (
        by_sas(account, relative, base=account.url + base_end),
        BlobReference(relative, connection_string=account.connection_string),
    ):
        assert await blobs.read(reference) == b"content"


async def test_a_token_may_lack_its_question_mark(account, blobs):
    reference = by_sas(account)
    bare = BlobReference(
        reference.relative_location,
        base_location=reference.base_location,
        sas_blob_token=(reference.sas_blob_token or "").removeprefix("?"),
    )

    assert await blobs.read(bare) == b"content"


async def test_what_is_written_is_there(account, blobs):
    reference = BlobReference("models/new.csv", connection_string=account.connection_string)
    assert not await blobs.exists(reference)

    await blobs.write(reference, b"1")
    await blobs.write(reference, b"2")

    assert await blobs.exists(reference)
    assert await blobs.read(reference) == b"2"


async def test_a_blob_of_some_megabytes_goes_through(account, blobs):
    reference = BlobReference("models/large.ilearner", connection_string=account.connection_string)
    data = os.urandom(3 << 20)

    await blobs.write(reference, data)

    assert await blobs.read(reference) == data


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda a: by_sas(a, "models/none.ilearner"), "BlobNotFound"),
        (lambda a: BlobReference("nowhere/a", connection_string=a.connection_string), "ContainerNotFound"),
        (lambda a: BlobReference("models/a", base_location=a.url), "AuthenticationFailed"),
        (lambda a: by_sas(a, permissions="w"), "AuthorizationPermissionMismatch"),
        (lambda _: BlobReference("models/a", connection_string="nonsense"), "InvalidBlobConnectionString"),
        (lambda _: BlobReference("models/a", connection_string=""), "InvalidBlobConnectionString"),
        (lambda a: BlobReference("models", connection_string=a.connection_string), "InputBlobRelativeLocationInvalid"),
        (lambda a: BlobReference("", connection_string=a.connection_string), "InputBlobRelativeLocationInvalid"),
        (lambda _: BlobReference("models/a"), "MissingInputBlobInformation"),
        (lambda _: BlobReference("models/a", base_location="ftp://x/"), "InvalidUri"),
    ],
)
async def test_a_blob_that_cannot_be_read_says_why(account, blobs, make, code):
    with pytest.raises(BlobAccessError) as raised:
        await blobs.read(make(account))

    assert raised.value.code == code


async def test_neither_errors_nor_references_show_a_secret(account, blobs):
    expired = by_sas(account)
    account.clock.ahead = 2 * HOUR
    keyed = BlobReference("models/x", connection_string=account.connection_string)
    signature = (expired.sas_blob_token or "").rpartition("sig=")[2]

    with pytest.raises(BlobAccessError) as raised:
        await blobs.read(expired)

    shown = f"{raised.value!r} {raised.value} {raised.value.message} {expired!r} {keyed!r}"
    assert signature not in shown
    assert account.key not in shown
    assert raised.value.code == "AuthenticationFailed"


async def test_a_blob_larger_than_memory_allows_is_not_read(account):
    async with BlobClient(largest=3) as blobs:
        with pytest.raises(BlobAccessError) as raised:
            await blobs.read(by_sas(account))
        url = f"{account.url}/models/runs/model.ilearner{by_sas(account).sas_blob_token}"
        with pytest.raises(BlobAccessError) as fetched:
            await blobs.fetch_url(url)

    assert (raised.value.code, fetched.value.code) == ("BlobTooLarge", "BlobTooLarge")


async def test_an_account_that_does_not_answer_is_unreachable(blobs, unused_port_url):
    with pytest.raises(BlobAccessError) as raised:
        await blobs.fetch_url(f"{unused_port_url}/a/b?sig=hidden")

    assert raised.value.code == "StorageUnreachable"
    assert "hidden" not in str(raised.value)


@pytest.fixture
async def unused_port_url():
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    await runner.cleanup()
    return f"http://127.0.0.1:{port}"


async def test_a_url_is_fetched_with_what_it_carries(account, blobs):
    reference = by_sas(account)
    url = f"{account.url}/models/runs/model.ilearner"

    assert await blobs.fetch_url(f"{url}{reference.sas_blob_token}") == b"content"
    with pytest.raises(BlobAccessError) as refused:
        await blobs.fetch_url(url)
    with pytest.raises(BlobAccessError) as not_a_url:
        await blobs.fetch_url("file:///etc/hostname")
    assert (refused.value.code, not_a_url.value.code) == ("AuthenticationFailed", "InvalidUri")


async def test_a_public_url_needs_nothing(account, blobs):
    async with BlobServiceClient.from_connection_string(account.connection_string) as client:
        container = await client.create_container("public", public_access="blob")
        await container.upload_blob("data.csv", b"a,b\n1,2\n")

    assert await blobs.fetch_url(f"{account.url}/public/data.csv") == b"a,b\n1,2\n"
