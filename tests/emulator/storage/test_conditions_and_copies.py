"""Conditions, metadata, properties and copies, as azure-storage-blob has them, in our account and in Azurite's."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aiohttp
import pytest
from azure.core import MatchConditions
from azure.storage.blob import BlobSasPermissions, ContentSettings, generate_blob_sas
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, ContainerClient

from tests.emulator.storage.conftest import refusal

HOUR = timedelta(hours=1)
OURS_ALONE = pytest.mark.parametrize("any_service", ["ours"], indirect=True)
"""Where Azurite does otherwise than documented: copies from other servers, Put Blob From URL, source conditions."""

OTHER_ETAG = '"0x8D4BCC2E4835CD0"'


@pytest.fixture
async def blob(any_container):
    blob = any_container.get_blob_client("model.ilearner")
    await blob.upload_blob(
        b"first", metadata={"run": "7"}, content_settings=ContentSettings("text/csv", content_language="de")
    )
    return blob


def signed(blob):
    """The blob's URL with a SAS."""
    token = generate_blob_sas(
        blob.account_name,
        blob.container_name,
        blob.blob_name,
        account_key=blob.credential.account_key,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + HOUR,
    )
    return f"{blob.url}?{token}"


WRITES = {
    "put": lambda blob, **when: blob.upload_blob(b"2", overwrite=True, **when),
    "blocks": lambda blob, **when: blob.commit_block_list([], **when),
    "metadata": lambda blob, **when: blob.set_blob_metadata({"a": "b"}, **when),
    "properties": lambda blob, **when: blob.set_http_headers(None, **when),
    "lease": lambda blob, **when: blob.acquire_lease(**when),
    "delete": lambda blob, **when: blob.delete_blob(**when),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_happens_if_its_conditions_hold(blob, write):
    now = await blob.get_blob_properties()
    long_ago, later = now.last_modified - HOUR, now.last_modified + HOUR
    refused = [
        {"etag": OTHER_ETAG, "match_condition": MatchConditions.IfNotModified},
        {"etag": now.etag, "match_condition": MatchConditions.IfModified},
        {"if_unmodified_since": long_ago},
        {"if_modified_since": later},
    ]
    for when in refused:
        assert await refusal(write(blob, **when)) == (412, "ConditionNotMet")
    assert (await blob.get_blob_properties()).etag == now.etag

    await write(
        blob, etag=now.etag, match_condition=MatchConditions.IfNotModified, if_unmodified_since=now.last_modified
    )


async def test_a_read_happens_if_its_conditions_hold(blob):
    now = await blob.get_blob_properties()
    same = {"etag": now.etag, "match_condition": MatchConditions.IfNotModified}
    other = {"etag": OTHER_ETAG, "match_condition": MatchConditions.IfNotModified}
    if_new = {"etag": now.etag, "match_condition": MatchConditions.IfModified}
    for read in (blob.download_blob, blob.get_blob_properties):
        await read(**same, if_unmodified_since=now.last_modified)
        await read(**if_new, if_modified_since=now.last_modified - HOUR)
        assert (await refusal(read(**other)))[0] == 412
        assert (await refusal(read(if_unmodified_since=now.last_modified - HOUR)))[0] == 412
        assert (await refusal(read(**if_new)))[0] == 304
        assert (await refusal(read(if_modified_since=now.last_modified)))[0] == 304
        assert (await refusal(read(**if_new, if_modified_since=now.last_modified)))[0] == 304


@OURS_ALONE
async def test_several_etags_may_be_given(blob):
    etag = (await blob.get_blob_properties()).etag
    async with aiohttp.ClientSession() as session:
        for header, status in (("If-Match", 200), ("If-None-Match", 304)):
            async with session.get(signed(blob), headers={header: f"{OTHER_ETAG}, {etag}"}) as response:
                assert response.status == status


async def test_a_read_of_what_must_not_exist_cannot_be_satisfied(blob):
    async with (
        aiohttp.ClientSession() as session,
        session.get(signed(blob), headers={"If-None-Match": "*"}) as response,
    ):
        assert (response.status, response.headers["x-ms-error-code"]) == (400, "UnsatisfiableCondition")


@OURS_ALONE
async def test_what_is_not_there_matches_no_etag(any_container):
    blob = any_container.get_blob_client("new")
    there = {"match_condition": MatchConditions.IfPresent}

    assert await refusal(blob.upload_blob(b"1", overwrite=True, **there)) == (412, "ConditionNotMet")
    await blob.upload_blob(b"1", match_condition=MatchConditions.IfMissing, overwrite=True)
    await blob.upload_blob(b"2", overwrite=True, **there)
    assert await refusal(blob.upload_blob(b"3", match_condition=MatchConditions.IfMissing, overwrite=True)) == (
        409,
        "BlobAlreadyExists",
    )


async def test_a_container_is_deleted_if_its_conditions_hold(any_container):
    modified = (await any_container.get_container_properties()).last_modified

    assert await refusal(any_container.delete_container(if_unmodified_since=modified - HOUR)) == (
        412,
        "ConditionNotMet",
    )
    await any_container.delete_container(if_unmodified_since=modified + HOUR)


async def test_metadata_are_set_with_a_blob_and_replaced_as_a_whole(blob):
    before = await blob.get_blob_properties()
    assert before.metadata == {"run": "7"}

    await blob.set_blob_metadata({"label": "b", "other": "c d"})

    after = await blob.get_blob_properties()
    assert after.metadata == {"label": "b", "other": "c d"}
    assert after.etag != before.etag
    assert after.content_settings.content_type == "text/csv"


async def test_metadata_of_a_container_are_replaced(any_container):
    await any_container.set_container_metadata({"team": "ml"})

    assert (await any_container.get_container_properties()).metadata == {"team": "ml"}


@OURS_ALONE
async def test_metadata_can_be_read_alone(any_container):
    """The client library reads them with the properties; others ask for them alone."""
    await any_container.upload_blob("a", b"1", metadata={"run": "7"})
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{signed(any_container.get_blob_client('a'))}&comp=metadata") as response,
    ):
        assert (response.status, response.headers["x-ms-meta-run"]) == (200, "7")
        assert await response.read() == b""


async def test_a_name_that_no_metadata_can_have_is_refused(any_container):
    assert await refusal(any_container.upload_blob("a", b"1", metadata={"not-a-name": "x"})) == (400, "InvalidMetadata")


async def test_content_headers_are_set_together(blob):
    before = await blob.get_blob_properties()

    await blob.set_http_headers(ContentSettings(content_type="text/plain", cache_control="no-cache"))

    after = await blob.get_blob_properties()
    settings = after.content_settings
    assert (settings.content_type, settings.cache_control) == ("text/plain", "no-cache")
    assert settings.content_language is None
    assert after.etag != before.etag
    assert after.metadata == {"run": "7"}
    assert await (await blob.download_blob()).readall() == b"first"


@pytest.mark.parametrize("sync", [False, True])
async def test_a_copy_is_there_when_it_is_answered(blob, any_container, sync):
    copy = any_container.get_blob_client("champions/model.ilearner")

    answer = await copy.start_copy_from_url(signed(blob), requires_sync=sync)

    assert answer["copy_status"] == "success"
    assert answer["copy_id"]
    found = await copy.get_blob_properties()
    assert answer["etag"] == found.etag
    assert found.metadata == {"run": "7"}
    assert found.content_settings.content_type == "text/csv"
    assert found.copy.status == "success"
    assert await (await copy.download_blob()).readall() == b"first"
    assert await refusal(copy.abort_copy(answer["copy_id"])) == (409, "NoPendingCopyOperation")


@OURS_ALONE
async def test_a_copy_does_not_tell_the_signature_of_its_source(blob, any_container):
    copy = any_container.get_blob_client("copy")

    await copy.start_copy_from_url(signed(blob))

    assert (await copy.get_blob_properties()).copy.source == blob.url


async def test_the_accounts_key_reads_the_source_as_well(blob, any_container):
    copy = any_container.get_blob_client("copy")

    await copy.start_copy_from_url(blob.url, metadata={"own": "1"})

    assert (await copy.get_blob_properties()).metadata == {"own": "1"}


@OURS_ALONE
async def test_a_copy_needs_a_right_to_its_source(account, any_container, any_service):
    await account.service.seed("other", "secret", "a", b"1")
    copy = any_container.get_blob_client("copy")

    status, code = await refusal(copy.start_copy_from_url(f"{account.server_url}/other/secret/a"))

    assert (status, code) == (403, "CannotVerifyCopySource")
    assert not await copy.exists()


@OURS_ALONE
async def test_a_blob_is_copied_from_another_account_by_its_sas(account, any_container):
    await account.service.seed("other", "shared", "a b.csv", b"1,2")
    token = account.service.sign("other", "shared", permissions="r", valid_for=HOUR)
    copy = any_container.get_blob_client("copy")

    await copy.start_copy_from_url(f"{account.server_url}/other/shared/a%20b.csv{token}")

    assert await (await copy.download_blob()).readall() == b"1,2"


async def test_an_account_copies_from_another_one_by_its_sas(account, azurite):
    async with (
        ContainerClient.from_connection_string(azurite.connection_string, f"c{uuid4().hex}") as container,
        container.get_blob_client("a") as source,
    ):
        await container.create_container()
        await source.upload_blob(b"abroad", overwrite=True, metadata={"run": "9"})
        account.service.create_container("studiostore", "models")
        async with BlobClient.from_connection_string(account.connection_string, "models", "copy") as copy:
            await copy.start_copy_from_url(signed(source))
            assert await (await copy.download_blob()).readall() == b"abroad"
            assert (await copy.get_blob_properties()).metadata == {"run": "9"}
            assert await refusal(copy.start_copy_from_url(source.url)) == (403, "CannotVerifyCopySource")


async def test_a_source_that_is_not_there_is_named(any_container):
    copy = any_container.get_blob_client("copy")

    assert (await refusal(copy.start_copy_from_url(any_container.get_blob_client("none").url)))[0] == 404


@OURS_ALONE
async def test_a_copy_judges_both_its_ends(blob, any_container):
    copy = any_container.get_blob_client("copy")
    await copy.upload_blob(b"old")
    lease = await copy.acquire_lease()
    etag = (await blob.get_blob_properties()).etag

    assert await refusal(copy.start_copy_from_url(signed(blob))) == (412, "LeaseIdMissing")
    only_other = {"source_etag": etag, "source_match_condition": MatchConditions.IfModified}
    assert await refusal(copy.start_copy_from_url(signed(blob), destination_lease=lease, **only_other)) == (
        412,
        "SourceConditionNotMet",
    )
    only_this = {"source_etag": etag, "source_match_condition": MatchConditions.IfNotModified}
    await copy.start_copy_from_url(signed(blob), destination_lease=lease, **only_this)
    assert await (await copy.download_blob()).readall() == b"first"
    await BlobLeaseClient(copy, lease.id).release()


@OURS_ALONE
async def test_a_blob_is_put_from_a_url(blob, any_container):
    copy = any_container.get_blob_client("put")

    await copy.upload_blob_from_url(signed(blob), overwrite=True)

    assert await (await copy.download_blob()).readall() == b"first"
    found = await copy.get_blob_properties()
    assert (found.copy.id, found.metadata, found.content_settings.content_type) == (None, {}, "text/csv")
