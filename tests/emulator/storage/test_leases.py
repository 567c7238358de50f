"""Leases of blobs and containers, as azure-storage-blob takes them, from our account and from Azurite's."""

from datetime import timedelta
from uuid import uuid4

import aiohttp
import pytest
from azure.storage.blob.aio import BlobLeaseClient, BlobServiceClient

from reconciler.emulator.documents import Documents
from reconciler.emulator.storage import leases
from reconciler.emulator.storage.blob_store import BlobStore
from tests.emulator.storage.conftest import refusal

OTHER = str(uuid4())


@pytest.fixture
async def blob(any_container):
    blob = any_container.get_blob_client("model.ilearner")
    await blob.upload_blob(b"first")
    return blob


@pytest.fixture
async def our_blob(account):
    """A blob in our own account, whose clock can be moved."""
    async with BlobServiceClient.from_connection_string(account.connection_string) as client:
        blob = (await client.create_container("models")).get_blob_client("a")
        await blob.upload_blob(b"1")
        yield blob


WRITES = {
    "put": lambda blob, **lease: blob.upload_blob(b"2", overwrite=True, **lease),
    "block": lambda blob, **lease: blob.stage_block("MQ==", b"2", **lease),
    "metadata": lambda blob, **lease: blob.set_blob_metadata({"a": "b"}, **lease),
    "properties": lambda blob, **lease: blob.set_http_headers(None, **lease),
    "delete": lambda blob, **lease: blob.delete_blob(**lease),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_leased_blob_is_written_with_the_leases_id_alone(blob, write):
    lease = await blob.acquire_lease(lease_duration=-1)

    assert await refusal(write(blob)) == (412, "LeaseIdMissing")
    assert await refusal(write(blob, lease=OTHER)) == (412, "LeaseIdMismatchWithBlobOperation")
    assert await (await blob.download_blob()).readall() == b"first"
    await write(blob, lease=lease)


async def test_a_lease_outlives_the_contents_that_it_guards(blob):
    lease = await blob.acquire_lease(lease_duration=15)

    await blob.upload_blob(b"second", overwrite=True, lease=lease)

    found = (await blob.get_blob_properties()).lease
    assert (found.status, found.state, found.duration) == ("locked", "leased", "fixed")
    assert await refusal(blob.upload_blob(b"third", overwrite=True)) == (412, "LeaseIdMissing")


async def test_a_read_needs_no_lease_but_a_wrong_one_is_refused(blob):
    lease = await blob.acquire_lease()

    assert await (await blob.download_blob(lease=lease)).readall() == b"first"
    assert await refusal(blob.download_blob(lease=OTHER)) == (412, "LeaseIdMismatchWithBlobOperation")


async def test_a_lease_that_is_not_there_cannot_be_used(blob):
    assert await refusal(blob.upload_blob(b"2", overwrite=True, lease=OTHER)) == (
        412,
        "LeaseNotPresentWithBlobOperation",
    )
    assert await refusal(BlobLeaseClient(blob, OTHER).renew()) == (409, "LeaseIdMismatchWithLeaseOperation")
    assert await refusal(BlobLeaseClient(blob, OTHER).release()) == (409, "LeaseIdMismatchWithLeaseOperation")
    assert await refusal(BlobLeaseClient(blob, OTHER).change(str(uuid4()))) == (
        409,
        "LeaseNotPresentWithLeaseOperation",
    )
    assert await refusal(BlobLeaseClient(blob).break_lease()) == (409, "LeaseNotPresentWithLeaseOperation")


async def test_of_two_who_want_a_lease_one_has_it_and_may_take_it_again(blob):
    lease = await blob.acquire_lease(lease_duration=15, lease_id=OTHER)

    assert lease.id == OTHER
    assert await refusal(blob.acquire_lease()) == (409, "LeaseAlreadyPresent")
    assert (await blob.acquire_lease(lease_id=OTHER)).id == OTHER
    assert (await blob.get_blob_properties()).lease.duration == "infinite"


async def test_a_lease_leaves_the_etag_alone(blob):
    before = (await blob.get_blob_properties()).etag
    lease = await blob.acquire_lease()
    await lease.renew()
    await lease.release()

    assert (await blob.get_blob_properties()).etag == before == lease.etag


async def test_a_lease_changes_its_id_and_a_repeated_change_finds_it_done(blob):
    lease = await blob.acquire_lease()
    old, new = lease.id, str(uuid4())

    await lease.change(new)
    await BlobLeaseClient(blob, old).change(new)

    assert lease.id == new
    assert await refusal(blob.delete_blob(lease=old)) == (412, "LeaseIdMismatchWithBlobOperation")
    await blob.delete_blob(lease=new)


async def test_a_released_lease_is_free_at_once(blob):
    lease = await blob.acquire_lease()
    await lease.release()

    await blob.upload_blob(b"2", overwrite=True)
    assert (await blob.get_blob_properties()).lease.state == "available"
    await blob.acquire_lease()


async def test_a_breaking_lease_still_locks(blob):
    lease = await blob.acquire_lease()

    assert await BlobLeaseClient(blob).break_lease(lease_break_period=30) in {29, 30}

    assert (await blob.get_blob_properties()).lease.state == "breaking"
    assert await refusal(blob.upload_blob(b"2", overwrite=True)) == (412, "LeaseIdMissing")
    assert await refusal(blob.acquire_lease()) == (409, "LeaseAlreadyPresent")
    assert await refusal(blob.acquire_lease(lease_id=lease.id)) == (409, "LeaseIsBreakingAndCannotBeAcquired")
    assert await refusal(lease.change(OTHER)) == (409, "LeaseIsBreakingAndCannotBeChanged")
    await blob.upload_blob(b"2", overwrite=True, lease=lease)
    await lease.release()
    assert (await blob.get_blob_properties()).lease.state == "available"


async def test_an_infinite_lease_breaks_at_once_and_cannot_be_renewed(blob):
    lease = await blob.acquire_lease()

    assert await BlobLeaseClient(blob).break_lease() == 0

    assert (await blob.get_blob_properties()).lease.state == "broken"
    assert await refusal(lease.renew()) == (409, "LeaseIsBrokenAndCannotBeRenewed")
    await blob.upload_blob(b"2", overwrite=True)
    assert (await blob.get_blob_properties()).lease.state == "available"


@pytest.mark.parametrize("seconds", [0, 14, 61])
async def test_a_lease_lasts_15_to_60_seconds_or_for_ever(blob, seconds):
    assert await refusal(blob.acquire_lease(lease_duration=seconds)) == (400, "InvalidHeaderValue")


async def test_a_leased_container_is_deleted_with_the_leases_id_alone(any_container):
    lease = await any_container.acquire_lease(lease_duration=15)

    assert await refusal(any_container.delete_container()) == (412, "LeaseIdMissing")
    assert await refusal(any_container.delete_container(lease=OTHER)) == (412, "LeaseIdMismatchWithContainerOperation")
    await any_container.upload_blob("a", b"its blobs are written as before")
    found = (await any_container.get_container_properties()).lease
    assert (found.status, found.state, found.duration) == ("locked", "leased", "fixed")
    await any_container.delete_container(lease=lease)


async def test_a_lease_expires_and_is_renewed_unless_somebody_wrote(account, our_blob):
    lease = await our_blob.acquire_lease(lease_duration=15)
    account.clock.ahead += timedelta(seconds=14)
    await lease.renew()
    account.clock.ahead += timedelta(seconds=14)
    assert await refusal(our_blob.upload_blob(b"2", overwrite=True)) == (412, "LeaseIdMissing")
    account.clock.ahead += timedelta(seconds=1)

    assert (await our_blob.get_blob_properties()).lease.state == "expired"
    assert await refusal(our_blob.upload_blob(b"2", overwrite=True, lease=lease)) == (412, "LeaseLost")
    await lease.renew()
    account.clock.ahead += timedelta(seconds=15)
    await our_blob.upload_blob(b"2", overwrite=True)
    assert await refusal(lease.renew()) == (409, "LeaseIdMismatchWithLeaseOperation")


async def test_a_lease_survives_a_restart(account, tmp_path):
    """Leases are kept like everything else, so a stop does not hand a blob to somebody else."""
    documents = Documents.open(tmp_path / "state")
    store = BlobStore(documents, tmp_path / "files", clock=account.clock, new_id=lambda: uuid4().hex)
    lease = leases.broken(leases.acquired(leases.NO_LEASE, OTHER, 60, account.clock()), 30, account.clock())
    store.create_container("studiostore", "models", "", {})
    store.set_container_lease("studiostore", "models", lease)
    documents.close()

    documents = Documents.open(tmp_path / "state")
    again = BlobStore(documents, tmp_path / "files", clock=account.clock, new_id=lambda: uuid4().hex)

    assert again.container("studiostore", "models").lease == lease
    documents.close()


async def test_a_break_never_makes_a_lease_longer(account, our_blob):
    await our_blob.acquire_lease(lease_duration=20)
    account.clock.ahead += timedelta(seconds=5)

    assert await BlobLeaseClient(our_blob).break_lease(lease_break_period=60) in {14, 15}
    assert await BlobLeaseClient(our_blob).break_lease(lease_break_period=3) in {2, 3}

    account.clock.ahead += timedelta(seconds=3)
    assert await BlobLeaseClient(our_blob).break_lease() == 0
    await our_blob.acquire_lease()


async def test_leases_are_listed(account, our_blob):
    await our_blob.acquire_lease()
    async with BlobServiceClient.from_connection_string(account.connection_string) as client:
        await client.get_container_client("models").acquire_lease(lease_duration=60)
        (blob,) = [each async for each in client.get_container_client("models").list_blobs()]
        (container,) = [each async for each in client.list_containers()]

    assert (blob.lease.state, blob.lease.duration) == ("leased", "infinite")
    assert (container.lease.state, container.lease.duration) == ("leased", "fixed")


@pytest.mark.parametrize(("action", "status"), [("acquire", 403), ("break", 202)])
async def test_who_may_delete_may_break_a_lease_but_not_take_one(account, our_blob, action, status):
    await our_blob.acquire_lease()
    token = account.service.sign("studiostore", "models", permissions="d", valid_for=timedelta(hours=1))
    headers = {"x-ms-lease-action": action, "x-ms-lease-duration": "-1"}

    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{our_blob.url}{token}&comp=lease", headers=headers) as response,
    ):
        assert response.status == status
