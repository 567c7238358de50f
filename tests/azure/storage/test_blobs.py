"""Uploads that happen once, reads, and signatures; against the local storage account, and against a bad one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from pydantic import SecretStr

from reconciler.azure.errors import (
    Conflict,
    ConnectionStringError,
    ContentChanged,
    InvalidReply,
    LostReply,
    NotFound,
    ServiceUnavailable,
    SignInError,
    Unreachable,
)
from reconciler.azure.storage.blobs import BlobProperties, BlobReference, Blobs
from reconciler.azure.storage.uploads import Content
from reconciler.emulator.documents import Documents
from reconciler.emulator.storage.routes import BlobService

KEY = base64.b64encode(b"k" * 64).decode()


def connection_to(url):
    return SecretStr(
        f"DefaultEndpointsProtocol=http;AccountName=studiostore;AccountKey={KEY};BlobEndpoint={url}/studiostore"
    )


@pytest.fixture
async def account(tmp_path):
    """URL of a server with the account ``studiostore``, which has no containers."""
    service = BlobService(Documents.open(None), tmp_path / "contents", {"studiostore": KEY})
    app = web.Application(client_max_size=1 << 30)
    app.add_routes(service.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def blobs(account):
    async with Blobs(connection_to(account), retry_pause=0) as opened:
        yield opened


@pytest.fixture
async def bad(peer):
    """An account whose server is the peer."""
    async with Blobs(connection_to(peer.url), retry_pause=0) as opened:
        yield opened


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n1,2\n")
    return path


async def test_a_file_is_uploaded_once_and_its_container_made(blobs, file):
    assert await blobs.upload_once("models", "in/1.csv", file)
    assert not await blobs.upload_once("models", "in/1.csv", file)

    assert await blobs.read("models", "in/1.csv") == b"a,b\n1,2\n"


async def test_a_blob_that_is_there_is_never_overwritten(blobs, file, tmp_path):
    other = tmp_path / "other.csv"
    other.write_bytes(b"x,y\n3,4\n")
    await blobs.upload_once("models", "1.csv", file)

    assert not await blobs.upload_once("models", "1.csv", other)

    assert await blobs.read("models", "1.csv") == file.read_bytes()


async def test_a_blob_of_another_length_under_the_same_name_is_a_conflict(blobs, file, tmp_path):
    other = tmp_path / "other.csv"
    other.write_bytes(b"longer than the first\n")
    await blobs.upload_once("models", "1.csv", file)

    with pytest.raises(
        Conflict, match=r"upload blob models/1\.csv: a blob of 8 bytes exists already, and the new content has 22"
    ):
        await blobs.upload_once("models", "1.csv", other)


async def test_progress_ends_with_all_bytes(blobs, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(9 << 20))
    seen = []

    await blobs.upload_once("models", "large.bin", path, lambda sent, total: seen.append((sent, total)))

    assert seen[-1] == (9 << 20, 9 << 20)


async def test_progress_grows_with_each_block(blobs, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * (10 << 10))
    seen = []

    await blobs.upload_once("models", "large.bin", path, lambda sent, _: seen.append(sent))

    assert seen == sorted(seen)
    assert len(seen) == 3
    assert await blobs.read("models", "large.bin") == path.read_bytes()


@pytest.mark.parametrize("size", [8, 3 << 20])
async def test_what_is_not_what_was_announced_is_never_stored(blobs, tmp_path, size):
    """Its name is its content's hash: another content under it would be taken for that one for ever."""
    path = tmp_path / "data.bin"
    path.write_bytes(b"a" * size)
    announced = Content(size, lambda: path.open("rb"), hashlib.sha256(path.read_bytes()).hexdigest())

    for changed in (b"b" * size, b"a" * (size + 1), b"a" * (size - 1)):
        path.write_bytes(changed)
        with pytest.raises(ContentChanged):
            await blobs.upload_once("models", "data.bin", announced)
        assert await blobs.properties("models", "data.bin") is None

    path.write_bytes(b"a" * size)
    assert await blobs.upload_once("models", "data.bin", announced)


async def test_two_at_once_upload_one_blob(account, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(3 << 20))
    async with Blobs(connection_to(account), retry_pause=0) as one, Blobs(connection_to(account)) as other:
        done = await asyncio.gather(*(each.upload_once("models", "large.bin", path) for each in (one, other)))
        assert sorted(done) == [False, True]
        assert await one.read("models", "large.bin") == path.read_bytes()


async def test_a_block_that_is_refused_ends_the_upload_and_leaves_nothing_running(peer, bad, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(9 << 20))
    there = peer.says_text("<Error><Code>ContainerAlreadyExists</Code><Message>m</Message></Error>", 409)
    peer.on("PUT", "/studiostore/models", there)
    peer.on("HEAD", "/studiostore/models/1.bin", peer.says_text("", 404))
    refusal = "<Error><Code>InsufficientAccountPermissions</Code><Message>No.</Message></Error>"
    peer.on("PUT", "/studiostore/models/1.bin", peer.says_text(refusal, 403, "application/xml"))

    with pytest.raises(SignInError, match="InsufficientAccountPermissions"):
        await bad.upload_once("models", "1.bin", path)

    assert [] == [task for task in asyncio.all_tasks() if "_send_blocks" in repr(task.get_coro())]


async def test_an_empty_file_is_a_file(blobs, tmp_path):
    path = tmp_path / "empty"
    path.touch()

    assert await blobs.upload_once("models", "empty", path)
    assert await blobs.read("models", "empty") == b""


async def test_a_file_that_is_not_there_is_not_sent(blobs, tmp_path):
    with pytest.raises(FileNotFoundError):
        await blobs.upload_once("models", "x", tmp_path / "missing.csv")


async def test_properties_tell_length_and_etag(blobs, file):
    await blobs.upload_once("models", "1.csv", file)

    found = await blobs.properties("models", "1.csv")

    assert isinstance(found, BlobProperties)
    assert found.length == 8
    assert found.etag


async def test_what_is_not_there_has_no_properties(blobs, file):
    assert await blobs.properties("models", "1.csv") is None
    await blobs.upload_once("models", "2.csv", file)
    assert await blobs.properties("models", "1.csv") is None


async def test_reading_what_is_not_there_is_not_found(blobs, file):
    await blobs.upload_once("models", "2.csv", file)

    with pytest.raises(NotFound, match=r"read blob models/1\.csv: 404 BlobNotFound"):
        await blobs.read("models", "1.csv")


async def test_a_signature_lets_its_holder_read_that_blob_alone(blobs, file):
    await blobs.upload_once("models", "a b/1.csv", file)
    await blobs.upload_once("models", "2.csv", file)
    signature = await blobs.sign("models", "a b/1.csv", timedelta(hours=1))

    assert await blobs.read_reference(BlobReference(blobs.base, "models/a b/1.csv", signature)) == file.read_bytes()
    with pytest.raises(SignInError, match=r"read blob models/2\.csv: 403") as raised:
        await blobs.read_reference(BlobReference(blobs.base, "models/2.csv", signature))
    assert parse_qs(signature.get_secret_value())["sig"][0] not in str(raised.value)


async def test_an_expired_signature_is_a_sign_in_error(account, blobs, file):
    await blobs.upload_once("models", "1.csv", file)
    async with Blobs(connection_to(account), clock=lambda: datetime.now(UTC) - timedelta(hours=2)) as earlier:
        signature = await earlier.sign("models", "1.csv", timedelta(hours=1))

    with pytest.raises(SignInError, match="AuthenticationFailed"):
        await blobs.read_reference(BlobReference(blobs.base, "models/1.csv", signature))


async def test_a_signature_is_read_only_and_valid_from_a_little_before_now():
    """Clocks differ."""
    now = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
    blobs = Blobs(connection_to("http://127.0.0.1:1"), clock=lambda: now)

    signature = await blobs.sign("models", "1.csv", timedelta(hours=24))

    assert signature.get_secret_value().startswith("?")
    fields = parse_qs(signature.get_secret_value()[1:])
    assert fields["sp"] == ["r"]
    assert fields["sr"] == ["b"]
    assert fields["st"] == ["2026-11-01T11:55:00Z"]
    assert fields["se"] == ["2026-11-02T12:00:00Z"]
    assert "sig" not in repr(signature)


@pytest.mark.parametrize(
    ("connection", "base"),
    [
        (
            f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={KEY};EndpointSuffix=core.windows.net",
            "https://acct.blob.core.windows.net/",
        ),
        (f"AccountName=acct;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:7/acct/", "http://127.0.0.1:7/acct/"),
    ],
)
def test_the_base_is_the_blob_endpoint_with_a_slash(connection, base):
    assert Blobs(SecretStr(connection)).base == base


@pytest.mark.parametrize(
    ("base", "is_own"),
    [
        ("http://127.0.0.1:7/studiostore/", True),
        ("HTTPS://127.0.0.1:7/StudioStore", True),
        ("http://127.0.0.1:7/other/", False),
        ("http://127.0.0.1:8/studiostore/", False),
    ],
)
def test_a_location_is_in_this_account_or_not(base, is_own):
    assert Blobs(connection_to("http://127.0.0.1:7")).holds(base) is is_own


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ("", "no AccountName and no AccountKey"),
        ("AccountName=a", "no AccountKey"),
        (f"AccountKey={KEY}", "no AccountName"),
        ("AccountName=a;AccountKey=c2VjcmV0;rubbish", "cannot be used"),
        ("DefaultEndpointsProtocol=http;AccountName=a;AccountKey=c2VjcmV0", "without TLS"),
        ("AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=http://10.0.0.1/a", "would send data to 10.0.0.1 without TLS"),
    ],
)
def test_a_bad_connection_string_is_refused_without_repeating_it(connection, words):
    with pytest.raises(ConnectionStringError, match=words) as raised:
        Blobs(SecretStr(connection))

    assert "c2VjcmV0" not in str(raised.value)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("base", "relative", "sas"),
    [("https://a", "/c/d", "sig=x"), ("https://a/", "c/d", "?sig=x"), ("https://a//", "c/d", " ?sig=x\n")],
)
def test_a_reference_is_the_same_however_it_was_written(base, relative, sas):
    assert BlobReference.of(base, relative, sas) == BlobReference("https://a/", "c/d", SecretStr("?sig=x"))


async def test_storage_that_fails_for_a_moment_is_asked_again(peer, bad):
    peer.on(
        "GET",
        "/studiostore/models/1.csv",
        peer.cuts,
        peer.says_text("", 503),
        peer.says_text("content", 206, Content_Range="bytes 0-6/7"),
    )

    assert await bad.read("models", "1.csv") == b"content"


async def test_an_answer_that_no_storage_gives_is_invalid(peer, bad):
    peer.on_everything(peer.says_text("<html>welcome to the hotel</html>"))

    with pytest.raises(InvalidReply, match=r"read blob models/1\.csv"):
        await bad.read("models", "1.csv")


async def test_storage_that_goes_on_failing_is_unavailable(peer, bad):
    peer.on_everything(
        peer.says_text("<Error><Code>ServerBusy</Code><Message>Busy.</Message></Error>", 503, "application/xml")
    )

    with pytest.raises(ServiceUnavailable, match="503 ServerBusy: Busy"):
        await bad.read("models", "1.csv")

    assert len(peer.seen) == 4


async def test_storage_that_cuts_every_connection_loses_the_reply(peer, bad):
    peer.on_everything(peer.cuts)

    with pytest.raises(LostReply):
        await bad.read("models", "1.csv")


async def test_storage_that_is_not_there_is_unreachable(closed_url):
    async with Blobs(connection_to(closed_url), retry_pause=0) as gone:
        with pytest.raises(Unreachable, match=r"look for blob models/1\.csv"):
            await gone.properties("models", "1.csv")


async def test_an_upload_whose_answer_was_lost_counts_as_there(peer, bad, file):
    """The library tries again and meets its own blob."""
    path = "/studiostore/models/1.csv"
    exists = peer.says_text("<Error><Code>BlobAlreadyExists</Code><Message>m</Message></Error>", 409, "application/xml")
    there = peer.says_text("<Error><Code>ContainerAlreadyExists</Code><Message>m</Message></Error>", 409)
    peer.on("PUT", "/studiostore/models", there)
    peer.on("HEAD", path, peer.says_text("", 404), peer.says_text("12345678"))
    peer.on("PUT", path, peer.cuts, exists)

    assert not await bad.upload_once("models", "1.csv", file)
    assert peer.seen_of("PUT", path)[0].headers["if-none-match"] == "*"


async def test_a_wrong_key_is_a_sign_in_error_that_does_not_show_it(account):
    wrong = base64.b64encode(b"w" * 64).decode()
    connection = SecretStr(connection_to(account).get_secret_value().replace(KEY, wrong))

    async with Blobs(connection, retry_pause=0) as stranger:
        with pytest.raises(SignInError) as raised:
            await stranger.read("models", "1.csv")

    assert wrong not in str(raised.value)
