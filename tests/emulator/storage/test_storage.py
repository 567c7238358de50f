"""The local storage account, as azure-storage-blob sees it."""

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta

import aiohttp
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobServiceClient as SyncBlobServiceClient
from azure.storage.blob import BlobType, ContentSettings
from azure.storage.blob.aio import BlobServiceClient

from reconciler.emulator.documents import Documents
from reconciler.emulator.storage.errors import MESSAGES, StorageError
from reconciler.emulator.storage.routes import BlobService

NAMES = ["plain.csv", "a/b c.csv", "weird (1)'!*~+&=%é/ü#?.csv", "a//b", "empty"]


@pytest.fixture
async def client(account):
    async with BlobServiceClient.from_connection_string(account.connection_string) as client:
        yield client


@pytest.fixture
async def container(client):
    return await client.create_container("models")


def in_small_pieces(account):
    """Options by which the client writes blocks and reads ranges even for small blobs."""
    return {
        "conn_str": account.connection_string,
        "max_single_put_size": 1000,
        "max_block_size": 700,
        "max_single_get_size": 600,
        "max_chunk_get_size": 600,
    }


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_written_is_read_back_whatever_the_name(container, name):
    data = b"" if name == "empty" else os.urandom(5000)

    await container.upload_blob(name, data)

    assert data == await (await container.download_blob(name)).readall()
    assert [name] == [blob.name async for blob in container.list_blobs()]


@pytest.mark.parametrize("name", NAMES)
async def test_blocks_and_ranges_give_the_same_content(account, container, name):
    data = b"" if name == "empty" else os.urandom(5000)
    async with BlobServiceClient.from_connection_string(**in_small_pieces(account)) as client:
        blob = client.get_blob_client("models", name)

        await blob.upload_blob(data)

        assert await (await blob.download_blob()).readall() == data
        if data:
            assert await (await blob.download_blob(offset=100, length=2000)).readall() == data[100:2100]


async def test_the_synchronous_client_works_too(account):
    def use() -> tuple[bytes, list[str], bool]:
        with SyncBlobServiceClient.from_connection_string(**in_small_pieces(account)) as client:
            container = client.create_container("models")
            for name in NAMES:
                container.upload_blob(name, b"x" * 3000, metadata={"a_b": "1", "ab": "2", "a": "3"})
            content = container.download_blob(NAMES[2]).readall()
            container.delete_blob("plain.csv")
            return content, [b.name for b in container.list_blobs()], container.exists()

    content, names, exists = await asyncio.to_thread(use)

    assert content == b"x" * 3000
    assert names == sorted(set(NAMES) - {"plain.csv"})
    assert exists


async def test_a_large_blob_streams_and_its_md5_is_checked_by_the_client(account):
    def use(data: bytes) -> bytes:
        with SyncBlobServiceClient.from_connection_string(account.connection_string) as client:
            container = client.create_container("models")
            container.upload_blob("large", data, validate_content=True)
            return container.download_blob("large", validate_content=True).readall()

    data = os.urandom(5 << 20)

    assert await asyncio.to_thread(use, data) == data


async def test_properties_tell_length_type_md5_metadata_and_times(container):
    await container.upload_blob(
        "a.csv", b"a,b\n", metadata={"origin": "here"}, content_settings=ContentSettings(content_type="text/csv")
    )

    blob = await container.get_blob_client("a.csv").get_blob_properties()

    assert blob.size == 4
    assert blob.blob_type == BlobType.BLOCKBLOB
    assert blob.content_settings.content_type == "text/csv"
    assert bytes(blob.content_settings.content_md5) == hashlib.md5(b"a,b\n", usedforsecurity=False).digest()
    assert blob.metadata == {"origin": "here"}
    assert blob.last_modified == blob.creation_time


async def test_a_new_content_has_a_new_etag_and_keeps_the_time_of_creation(container):
    blob = container.get_blob_client("a")
    first = await blob.upload_blob(b"1")
    before = await blob.get_blob_properties()

    second = await blob.upload_blob(b"2", overwrite=True)

    after = await blob.get_blob_properties()
    assert first["etag"] != second["etag"] == after.etag
    assert before.creation_time == after.creation_time


async def test_a_blob_that_may_only_be_created_is_not_overwritten(container):
    blob = container.get_blob_client("model.ilearner")
    await blob.upload_blob(b"first")

    with pytest.raises(ResourceExistsError) as raised:
        await blob.upload_blob(b"second", overwrite=False)

    assert (raised.value.status_code, raised.value.error_code) == (409, "BlobAlreadyExists")
    assert await (await blob.download_blob()).readall() == b"first"


async def test_of_many_writers_that_may_only_create_exactly_one_does(container):
    blob = container.get_blob_client("contended")

    results = await asyncio.gather(
        *(blob.upload_blob(str(i).encode(), overwrite=False) for i in range(8)), return_exceptions=True
    )

    winners = [i for i, result in enumerate(results) if not isinstance(result, BaseException)]
    assert len(winners) == 1
    assert await (await blob.download_blob()).readall() == str(winners[0]).encode()


async def test_a_write_that_expects_another_content_is_refused(container):
    blob = container.get_blob_client("a")
    old = await blob.upload_blob(b"1")
    await blob.upload_blob(b"2", overwrite=True)

    with pytest.raises(ResourceModifiedError) as raised:
        await blob.upload_blob(b"3", overwrite=True, etag=old["etag"], match_condition=MatchConditions.IfNotModified)

    assert raised.value.error_code == "ConditionNotMet"


async def test_a_reader_keeps_the_content_that_it_began_to_read(account, container):
    """A download of several ranges must never mix two contents; the client pins the ETag of the first one."""
    async with BlobServiceClient.from_connection_string(**in_small_pieces(account)) as client:
        blob = client.get_blob_client("models", "a")
        await blob.upload_blob(b"1" * 5000)
        download = await blob.download_blob()
        await blob.upload_blob(b"2" * 5000, overwrite=True)

        with pytest.raises(ResourceModifiedError):
            await download.readall()


async def test_a_deleted_blob_is_gone_with_its_file(account, container):
    await container.upload_blob("a", b"1")

    await container.delete_blob("a")

    with pytest.raises(ResourceNotFoundError) as raised:
        await container.download_blob("a")
    assert raised.value.error_code == "BlobNotFound"
    assert not list(account.directory.iterdir())


async def test_overwritten_contents_and_dropped_blocks_leave_no_file(account, container):
    async with BlobServiceClient.from_connection_string(**in_small_pieces(account)) as client:
        blob = client.get_blob_client("models", "a")
        await blob.stage_block("b3Zlcg==", b"never committed")
        for _ in range(3):
            await blob.upload_blob(os.urandom(3000), overwrite=True)

    assert len(list(account.directory.iterdir())) == 1


async def test_a_block_list_may_keep_blocks_that_are_committed(container):
    blob = container.get_blob_client("log")
    await blob.stage_block("MQ==", b"one,")
    await blob.commit_block_list(["MQ=="])
    await blob.stage_block("Mg==", b"two,")

    await blob.commit_block_list(["MQ==", "Mg==", "MQ=="])

    assert await (await blob.download_blob()).readall() == b"one,two,one,"
    committed, waiting = await blob.get_block_list("all")
    assert [block.size for block in committed] == [4, 4, 4]
    assert not waiting


async def test_a_block_list_with_an_unknown_block_is_refused(container):
    with pytest.raises(HttpResponseError) as raised:
        await container.get_blob_client("a").commit_block_list(["bm9uZQ=="])

    assert raised.value.error_code == "InvalidBlockList"


async def test_listing_goes_by_prefix_delimiter_and_pages(container):
    for name in ["a/1", "a/2", "b/1", "b/2", "c", "d"]:
        await container.upload_blob(name, b"")

    pages = [[blob.name async for blob in page] async for page in container.list_blobs(results_per_page=4).by_page()]

    assert pages == [["a/1", "a/2", "b/1", "b/2"], ["c", "d"]]
    assert [blob.name async for blob in container.list_blobs(name_starts_with="b/")] == ["b/1", "b/2"]
    assert [entry.name async for entry in container.walk_blobs(results_per_page=1)] == ["a/", "b/", "c", "d"]


async def test_a_name_that_xml_cannot_hold_is_listed(container):
    await container.upload_blob("tab\tbell\x07", b"")

    assert [blob.name async for blob in container.list_blobs()] == ["tab\tbell\x07"]


async def test_containers_are_listed_by_prefix_and_deleted_with_their_blobs(client):
    for name in ["alpha", "alpine", "beta"]:
        container = await client.create_container(name)
        await container.upload_blob("x", b"1")

    await client.delete_container("alpha")

    assert [c.name async for c in client.list_containers(results_per_page=1)] == ["alpine", "beta"]
    assert [c.name async for c in client.list_containers(name_starts_with="al")] == ["alpine"]
    again = await client.create_container("alpha")
    assert [blob.name async for blob in again.list_blobs()] == []


async def test_a_container_is_created_once(client, container):
    with pytest.raises(ResourceExistsError) as raised:
        await client.create_container("models")

    assert raised.value.error_code == "ContainerAlreadyExists"
    assert (await container.get_container_properties()).etag


@pytest.mark.parametrize("name", ["ab", "Upper", "under_score", "double--hyphen", "-start"])
async def test_a_container_name_that_the_service_would_refuse_is_refused(client, name):
    with pytest.raises(HttpResponseError) as raised:
        await client.create_container(name)

    assert raised.value.error_code in {"InvalidResourceName", "OutOfRangeInput"}


async def test_a_missing_container_is_told_from_a_missing_blob(client, container):
    with pytest.raises(ResourceNotFoundError) as no_container:
        await client.get_blob_client("nowhere", "a").upload_blob(b"1")
    with pytest.raises(ResourceNotFoundError) as no_blob:
        await container.get_blob_client("a").get_blob_properties()

    assert no_container.value.error_code == "ContainerNotFound"
    assert no_blob.value.error_code == "BlobNotFound"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-ms-blob-type": "PageBlob"}, "InvalidHeaderValue"),
        ({}, "MissingRequiredHeader"),
        ({"x-ms-blob-type": "BlockBlob", "Content-MD5": base64.b64encode(b"0" * 16).decode()}, "Md5Mismatch"),
        ({"x-ms-blob-type": "BlockBlob", "x-ms-structured-body": "XSM/1.0"}, "UnsupportedHeader"),
    ],
)
async def test_what_cannot_be_kept_faithfully_is_refused_in_xml(account, container, headers, code):
    token = account.service.sign("studiostore", "models", permissions="rwl", valid_for=timedelta(hours=1))

    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{account.url}/models/a{token}", data=b"1", headers=headers) as response,
    ):
        body = await response.text()

    assert response.status == 400
    assert response.headers["x-ms-error-code"] == code
    assert response.headers["x-ms-request-id"] in body
    assert body.startswith("<?xml")
    assert f"<Code>{code}</Code>" in body
    assert [blob.name async for blob in container.list_blobs()] == []


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=7-100", 206, b"789"),
        ("bytes=10-", 416, None),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
async def test_ranges_are_answered_as_http_has_it(account, container, asked, status, content):
    await container.upload_blob("a", b"0123456789")
    token = account.service.sign("studiostore", "models", valid_for=timedelta(hours=1))

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{account.url}/models/a{token}", headers={"Range": asked}) as response,
    ):
        body = await response.read()

    assert response.status == status
    if content is not None:
        assert body == content
    else:
        assert response.headers["x-ms-error-code"] == "InvalidRange"


async def test_other_urls_of_the_same_server_are_left_alone(account):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{account.server_url}/workspaces/abc") as response,
    ):
        assert await response.text() == "not storage"
        async with session.get(f"{account.server_url}/studiostores/abc") as unknown:
            assert unknown.status == 404
            assert "x-ms-request-id" not in unknown.headers


async def test_seeding_writes_once_and_again_only_what_differs(account, container):
    await account.service.seed("studiostore", "data", "v1.csv", b"a,b\n")
    async with BlobServiceClient.from_connection_string(account.connection_string) as client:
        blob = client.get_blob_client("data", "v1.csv")
        first = await blob.get_blob_properties()
        await account.service.seed("studiostore", "data", "v1.csv", b"a,b\n")
        same = await blob.get_blob_properties()
        await account.service.seed("studiostore", "data", "v1.csv", b"a,c\n")
        other = await blob.get_blob_properties()

    assert first.etag == same.etag != other.etag


@pytest.mark.parametrize("accounts", [{"UPPER": "aGVsbG8="}, {"ab": "aGVsbG8="}, {"fine": "not base64!"}])
def test_an_account_that_could_not_exist_is_refused(tmp_path, accounts):
    with pytest.raises(ValueError, match="storage account"):
        BlobService(Documents.open(None), tmp_path, accounts)


SERVER = """
import asyncio, sys
from pathlib import Path
from aiohttp import web
from reconciler.emulator.documents import Documents
from reconciler.emulator.storage.errors import MESSAGES, StorageError
from reconciler.emulator.storage.routes import BlobService

async def main():
    home = Path(sys.argv[1])
    app = web.Application()
    app.add_routes(BlobService(Documents.open(home / "state"), home / "contents", {"studiostore": "a2V5"}).routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_server(home):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(SERVER), str(home), stdout=subprocess.PIPE
    )
    port = int(await process.stdout.readline())
    endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/studiostore;"
    return process, f"DefaultEndpointsProtocol=http;AccountName=studiostore;AccountKey=a2V5;{endpoint}"


async def kill(process):
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await process.stdout.read()


async def test_what_was_acknowledged_survives_kill_minus_nine(tmp_path):
    process, connection_string = await start_server(tmp_path)
    written = {f"run/{i}": os.urandom(1000 * i) for i in range(5)}
    async with BlobServiceClient.from_connection_string(connection_string, max_single_put_size=2000) as client:
        container = await client.create_container("models")
        for name, data in written.items():
            await container.upload_blob(name, data)
        await container.get_blob_client("waiting").stage_block("MQ==", b"block")
    await kill(process)
    (tmp_path / "contents" / "left-by-a-crash.partial").write_bytes(b"half")

    process, connection_string = await start_server(tmp_path)

    async with BlobServiceClient.from_connection_string(connection_string) as client:
        container = client.get_container_client("models")
        read = {
            name: await (await container.download_blob(name)).readall() async for name in container.list_blob_names()
        }
        await container.get_blob_client("waiting").commit_block_list(["MQ=="])
    await kill(process)
    assert read == written
    assert len(list((tmp_path / "contents").iterdir())) == len(written) + 1


def test_each_error_has_a_documented_status():
    assert all(StorageError(code).status >= 400 for code in MESSAGES)
