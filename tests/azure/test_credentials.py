"""A secret that is refused is looked up again; another one is tried once, and the same one is named."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from reconciler.azure.classic import ClassicManagement, EndpointPatch
from reconciler.azure.credentials import RefreshedSecret
from reconciler.azure.errors import ConnectionStringError, SignInError
from reconciler.azure.storage.blobs import Blobs

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SERVICES = "/workspaces/w/webservices"
NAME = "Workspace contoso, spec.token (env CONTOSO_WORKSPACE_TOKEN)"


class Place:
    """A secret whose place has some values, one after the other."""

    def __init__(self, *values, name=NAME):
        self.name = name
        self.values = [SecretStr(value) for value in values]
        self.asked: list[str] = []

    async def current(self):
        return self.values[0]

    async def refresh(self, refused):
        self.asked.append(refused.get_secret_value())
        if len(self.values) == 1:
            return RefreshedSecret(None, "its value has not changed")
        del self.values[0]
        return RefreshedSecret(self.values[0])


def unauthorized(peer):
    return peer.refuses(401, "Unauthorized", "The token does not belong here.")


def sent(peer):
    return [seen.headers["authorization"] for seen in peer.seen]


async def test_a_token_that_was_exchanged_is_sent_in_a_second_call(peer, http):
    place = Place("old", "new")
    peer.on("GET", SERVICES, unauthorized(peer), peer.says([{"Id": "1", "Name": "n"}]))

    found = await ClassicManagement(http, peer.url, "w", place).list_services()

    assert [service.name for service in found] == ["n"]
    assert (place.asked, sent(peer)) == (["old"], ["Bearer old", "Bearer new"])


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
async def test_a_write_that_was_refused_was_not_done_and_is_sent_again(peer, http, method):
    path = f"{SERVICES}/s/endpoints/e"
    peer.on(method, path, unauthorized(peer), peer.says({"Name": "e"}))
    management = ClassicManagement(http, peer.url, "w", Place("old", "new"))

    match method:
        case "PATCH":
            await management.patch_endpoint("s", "e", EndpointPatch(description="d"))
        case "PUT":
            await management.create_endpoint("s", "e")
        case _:
            await management.delete_endpoint("s", "e")

    assert sent(peer) == ["Bearer old", "Bearer new"]
    assert peer.seen[0].body == peer.seen[1].body


async def test_a_token_that_is_the_same_is_sent_once_and_its_reference_named(peer, http):
    peer.on_everything(unauthorized(peer))

    with pytest.raises(SignInError) as raised:
        await ClassicManagement(http, peer.url, "w", Place("hush")).list_services()

    assert len(peer.seen) == 1
    assert str(raised.value).startswith(
        "list web services of workspace w: 401 Unauthorized: The token does not belong here. "
        f"Refused: {NAME}: its value has not changed [request "
    )
    assert (raised.value.status, raised.value.code) == (401, "Unauthorized")
    assert "hush" not in str(raised.value)


async def test_another_token_that_is_refused_too_is_the_end(peer, http):
    peer.on_everything(unauthorized(peer))

    with pytest.raises(SignInError, match=r"Refused: .*its new value was refused too"):
        await ClassicManagement(http, peer.url, "w", Place("old", "new", "newer")).list_services()

    assert len(peer.seen) == 2


async def test_a_403_is_no_reason_to_look_again(peer, http):
    place = Place("old", "new")
    peer.on_everything(peer.refuses(403, "Forbidden", "not yours"))

    with pytest.raises(SignInError, match="not yours"):
        await ClassicManagement(http, peer.url, "w", place).list_services()

    assert (place.asked, len(peer.seen)) == ([], 1)


async def test_a_token_without_a_place_is_sent_once(peer, http):
    peer.on_everything(unauthorized(peer))

    with pytest.raises(SignInError, match="does not belong here"):
        await ClassicManagement(http, peer.url, "w", SecretStr("some-token")).list_services()

    assert len(peer.seen) == 1


# -- storage


def account(peer, key, name="contoso", path="/contoso"):
    encoded = base64.b64encode(key.encode()).decode()
    return f"DefaultEndpointsProtocol=http;AccountName={name};AccountKey={encoded};BlobEndpoint={peer.url}{path};"


def denied(peer, code="AuthenticationFailed"):
    return peer.says_text(
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>",
        403,
        "application/xml",
        x_ms_error_code=code,
    )


def content(peer):
    return peer.says_text("content", 206, Content_Range="bytes 0-6/7", ETag='"1"')


def blobs(*values):
    place = Place(*values)
    return place, Blobs(SecretStr(values[0]), source=place, retry_pause=0, clock=lambda: NOW)


async def test_an_account_key_that_was_exchanged_signs_a_second_call_and_all_later_ones(peer):
    place, client = blobs(account(peer, "one"), account(peer, "two"))
    peer.on("GET", "/contoso/models/a", denied(peer), content(peer))

    async with client:
        before = await client.sign("models", "a", timedelta(hours=1))
        assert await client.read("models", "a") == b"content"
        assert await client.read("models", "a") == b"content"
        after = await client.sign("models", "a", timedelta(hours=1))

    first, second, third = sent(peer)
    assert first != second
    assert len({first.split(":")[0], second.split(":")[0], third.split(":")[0]}) == 1
    assert before.get_secret_value().partition("sig=")[2] != after.get_secret_value().partition("sig=")[2]
    assert len(place.asked) == 1


def denied_together(peer, number):
    """Refusals of so many calls, none of which is answered before all of them are there."""
    all_here = asyncio.Event()

    async def denied_when_all_are_here(request):
        if len(peer.seen) == number:
            all_here.set()
        await all_here.wait()
        return await denied(peer)(request)

    return [denied_when_all_are_here] * number


async def test_calls_that_are_refused_at_one_time_take_up_one_new_key(peer):
    place, client = blobs(account(peer, "one"), account(peer, "two"), account(peer, "three"))
    peer.on("GET", "/contoso/models/a", *denied_together(peer, 4), content(peer))

    async with client:
        found = await asyncio.gather(*(client.read("models", "a") for _ in range(4)))

    assert found == [b"content"] * 4
    assert len(place.asked) == 1


async def test_an_upload_begins_anew_with_the_new_key(peer, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a,b\n1,2\n")
    _, client = blobs(account(peer, "one"), account(peer, "two"))
    peer.on("HEAD", "/contoso/models/rows.csv", peer.nothing(404))
    peer.on("PUT", "/contoso/models", peer.nothing(201))
    created = peer.says({}, 201, ETag='"1"', Last_Modified="Tue, 24 Nov 2026 12:00:00 GMT")
    peer.on("PUT", "/contoso/models/rows.csv", denied(peer), created)

    async with client:
        assert await client.upload_once("models", "rows.csv", file)

    assert [seen.body for seen in peer.seen_of("PUT", "/contoso/models/rows.csv")] == [b"a,b\n1,2\n"] * 2


async def test_an_account_key_that_is_the_same_is_named(peer):
    _, client = blobs(account(peer, "one"))
    peer.on_everything(denied(peer))

    async with client:
        with pytest.raises(SignInError, match=r"403 AuthenticationFailed.*. Refused: .*: its value has not changed"):
            await client.read("models", "a")

    assert len(peer.seen) == 1


async def test_a_new_connection_string_of_another_account_is_not_taken_up(peer):
    """What is known of blobs is known of the account that the run began with."""
    _, client = blobs(account(peer, "one"), account(peer, "two", "fabrikam", "/fabrikam"))
    peer.on_everything(denied(peer))

    async with client:
        with pytest.raises(
            SignInError,
            match=r"its new value is of another account, http.*/fabrikam/. Run again to continue with that account",
        ):
            await client.read("models", "a")

    assert len(peer.seen) == 1


async def test_a_new_connection_string_that_is_none_is_not_repeated(peer):
    _, client = blobs(account(peer, "one"), "hush hush hush")
    peer.on_everything(denied(peer))

    async with client:
        with pytest.raises(SignInError, match=r"its new value cannot be used: .*no AccountName") as raised:
            await client.read("models", "a")

    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("code", ["AuthorizationFailure", "AuthorizationPermissionMismatch"])
async def test_another_refusal_of_storage_is_no_reason_to_look_again(peer, code):
    place, client = blobs(account(peer, "one"), account(peer, "two"))
    peer.on_everything(denied(peer, code))

    async with client:
        with pytest.raises(SignInError, match=code):
            await client.read("models", "a")

    assert place.asked == []


# -- the account's other key

OTHER = "Workspace contoso, spec.storage.secondaryConnectionString (env CONTOSO_STORAGE_2)"


def with_two(first, second):
    """An account with two keys, each in a place with some values."""
    places = Place(*first), Place(*second, name=OTHER)
    client = Blobs(SecretStr(first[0]), source=places[0], retry_pause=0, clock=lambda: NOW)
    client.also(SecretStr(second[0]), places[1])
    return places, client


def keys_in(string):
    return string.get_secret_value().partition("AccountKey=")[2].partition(";")[0]


def encoded(key):
    return base64.b64encode(key.encode()).decode()


async def test_the_other_key_is_taken_when_the_first_is_refused_and_nowhere_newer(peer):
    (first, _), client = with_two([account(peer, "one")], [account(peer, "two")])
    peer.on("GET", "/contoso/models/a", denied(peer), content(peer))

    async with client:
        assert await client.read("models", "a") == b"content"
        assert await client.read("models", "a") == b"content"
        signed = await client.sign("models", "a", timedelta(hours=1))
        string = await client.connection_string()

    assert (len(peer.seen), len(first.asked)) == (3, 1)
    assert keys_in(string) == encoded("two")
    _, alone = blobs(account(peer, "two"))
    assert signed == await alone.sign("models", "a", timedelta(hours=1))


async def test_the_first_is_looked_up_again_before_the_other_is_taken(peer):
    _, client = with_two([account(peer, "one"), account(peer, "newer")], [account(peer, "two")])
    peer.on("GET", "/contoso/models/a", denied(peer), content(peer))

    async with client:
        await client.read("models", "a")
        assert keys_in(await client.connection_string()) == encoded("newer")


async def test_a_newer_first_key_that_is_refused_too_gives_way_to_the_other(peer):
    _, client = with_two([account(peer, "one"), account(peer, "newer")], [account(peer, "two")])
    peer.on("GET", "/contoso/models/a", denied(peer), denied(peer), content(peer))

    async with client:
        await client.read("models", "a")
        assert keys_in(await client.connection_string()) == encoded("two")

    assert len(peer.seen) == 3


async def test_two_refused_keys_are_named_both_and_tried_once_each(peer):
    _, client = with_two([account(peer, "one")], [account(peer, "two")])
    peer.on_everything(denied(peer))

    async with client:
        with pytest.raises(SignInError) as raised:
            await client.read("models", "a")

    assert len(peer.seen) == 2
    assert f"Refused: {NAME}: its value has not changed" in str(raised.value)
    assert f"Refused: {OTHER}: its value has not changed" in str(raised.value)


async def test_calls_that_are_refused_at_one_time_take_up_the_other_key_together(peer):
    (_, second), client = with_two([account(peer, "one")], [account(peer, "two")])
    peer.on("GET", "/contoso/models/a", *denied_together(peer, 4), content(peer))

    async with client:
        assert await asyncio.gather(*(client.read("models", "a") for _ in range(4))) == [b"content"] * 4

    assert len(peer.seen) == 8
    assert second.asked == []


async def test_a_signature_of_an_unused_account_is_made_with_the_key_that_it_accepts(peer):
    _, client = with_two([account(peer, "one")], [account(peer, "two")])
    peer.on("GET", "/contoso/reconciler", denied(peer), peer.nothing(404))

    async with client:
        first = await client.connection_string()
        await client.sign("models", "a", timedelta(hours=1))

    assert keys_in(first) == encoded("two")
    assert len(peer.seen) == 2


async def test_an_account_with_one_key_is_not_asked_before_something_is_signed(peer):
    _, client = blobs(account(peer, "one"))
    async with client:
        await client.sign("models", "a", timedelta(hours=1))
        assert keys_in(await client.connection_string()) == encoded("one")
    assert peer.seen == []


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("hush hush hush", "no AccountName"),
        (None, r"of account http.*/fabrikam/, and the other one of http.*contoso/"),
    ],
)
async def test_what_is_no_other_key_of_the_account_is_refused(peer, second, said):
    _, client = blobs(account(peer, "one"))
    async with client:
        with pytest.raises(ConnectionStringError, match=said) as raised:
            client.also(SecretStr(second or account(peer, "two", "fabrikam", "/fabrikam")))
    assert "hush" not in str(raised.value)
