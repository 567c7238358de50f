"""Keys and tokens: sent where they belong, and repeated nowhere."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from reconciler.azure.errors import InvalidReply, SignInError

KEY = SecretStr("k3y-of-the-endpoint==")


async def test_a_redirect_is_not_followed(peer, http):
    """A key must not travel to wherever a proxy's sign-in page is."""
    peer.on("GET", "/a", peer.says_text("", 302, Location=f"{peer.url}/b?token=abc"))

    with pytest.raises(InvalidReply, match="Check for a proxy or a sign-in page in between") as raised:
        await http.request("GET", f"{peer.url}/a", operation="a", token=KEY)

    assert len(peer.seen) == 1
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize("key", ["", "  ", "two\nlines", "schlüssel"])
async def test_a_key_that_no_header_can_carry_is_refused_before_anything_is_sent(peer, http, key):
    with pytest.raises(SignInError, match="the key or token") as raised:
        await http.request("GET", f"{peer.url}/a", operation="a", token=SecretStr(key))

    assert peer.seen == []
    assert not key.strip() or key not in str(raised.value)


async def test_a_key_is_not_sent_in_the_clear_to_another_machine(http):
    """The service names the host (ApiLocation); what it names need not be what the cloud file allows."""
    with pytest.raises(SignInError, match=r"no key or token is sent to services\.example without TLS"):
        await http.request("GET", "http://services.example/swagger.json", operation="a", token=KEY)


async def test_the_end_of_line_that_a_secret_file_leaves_is_cut_off(peer, http):
    peer.on("GET", "/a", peer.says([]))

    await http.request("GET", f"{peer.url}/a", operation="a", token=SecretStr("abc\n"))

    assert peer.seen[0].headers["authorization"] == "Bearer abc"


async def test_a_key_that_the_service_repeats_is_not_repeated_by_us(peer, http):
    peer.on("GET", "/a", peer.refuses(401, "Unauthorized", f"the key {KEY.get_secret_value()} is not known"))

    with pytest.raises(SignInError, match=r"the key \*\*\* is not known") as raised:
        await http.request("GET", f"{peer.url}/a", operation="a", token=KEY)

    assert KEY.get_secret_value() not in repr(raised.value)


async def test_what_was_sent_in_a_form_is_not_repeated_either(peer, http):
    peer.on("POST", "/token", peer.says({"error": "invalid_client", "error_description": "no pa55word for me"}, 401))

    with pytest.raises(SignInError, match=r"invalid_client: no \*\*\* for me"):
        await http.request("POST", f"{peer.url}/token", operation="a", form={"client_secret": "pa55word"})


async def test_neither_query_nor_key_is_in_the_log(peer, http, caplog):
    peer.on("GET", "/a", peer.says([]))

    with caplog.at_level(logging.DEBUG):
        await http.request("GET", f"{peer.url}/a", operation="get a", token=KEY, params={"sig": "s1gnature"})

    assert "get a: 200" in caplog.text
    assert "s1gnature" not in caplog.text
    assert KEY.get_secret_value() not in caplog.text


async def test_cookies_are_not_kept(peer, http):
    """A cookie of one workspace must not travel with another's key."""
    peer.on("GET", "/a", peer.says([], Set_Cookie="session=1"))

    await http.request("GET", f"{peer.url}/a", operation="a")
    await http.request("GET", f"{peer.url}/a", operation="a")

    assert "cookie" not in peer.seen[1].headers
