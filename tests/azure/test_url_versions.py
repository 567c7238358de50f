"""What tells one content behind a URL from another."""

from __future__ import annotations

import hashlib

import pytest
from aiohttp import web

from reconciler.azure.errors import LostReply, NotFound, ServiceError, Unpinnable
from reconciler.azure.url_versions import url_pin


def bare(content, status=200):
    """A body without any header that tells it from another."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        if request.method != "HEAD":
            for start in range(0, len(content), 1 << 16):
                await response.write(content[start : start + (1 << 16)])
        await response.write_eof()
        return response

    return answer


@pytest.mark.parametrize(
    ("headers", "pin"),
    [
        ({"ETag": '"abc"', "Last_Modified": "Sun, 01 Nov 2026 00:00:00 GMT"}, 'etag:"abc"'),
        (
            {"Last_Modified": "Sun, 01 Nov 2026 00:00:00 GMT", "Content_Length": "4"},
            "date:Sun, 01 Nov 2026 00:00:00 GMT:4",
        ),
    ],
)
async def test_what_the_server_says_is_enough(peer, http, headers, pin):
    peer.on("HEAD", "/a.csv", peer.says_text("a,b\n", **headers))

    assert await url_pin(http, f"{peer.url}/a.csv") == pin
    assert len(peer.seen) == 1


async def test_content_that_the_server_does_not_identify_is_hashed(peer, http):
    content = b"a,b\n1,2\n" * 100_000
    peer.on_everything(bare(content))

    assert await url_pin(http, f"{peer.url}/a.csv?x=1") == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert peer.seen[1].headers["accept-encoding"] == "identity"
    assert peer.seen[1].query == {"x": "1"}


@pytest.mark.parametrize("status", [405, 501])
async def test_a_server_that_knows_no_head_is_asked_for_the_content(peer, http, status):
    peer.on("HEAD", "/a.csv", peer.nothing(status))
    peer.on("GET", "/a.csv", peer.says_text("a,b\n", ETag='"abc"'))

    assert await url_pin(http, f"{peer.url}/a.csv") == 'etag:"abc"'


async def test_what_is_too_large_to_be_hashed_is_refused_as_soon_as_that_is_seen(peer, http):
    peer.on_everything(bare(bytes(3 << 20)))

    with pytest.raises(Unpinnable, match="neither ETag nor Last-Modified, and the file is larger than the 1 MB"):
        await url_pin(http, f"{peer.url}/a.csv", largest=1 << 20)


async def test_what_is_not_there_is_not_pinned(peer, http):
    peer.on("HEAD", "/a.csv", bare(b"", 404))
    with pytest.raises(ServiceError, match="404"):
        await url_pin(http, f"{peer.url}/a.csv")

    peer.on("HEAD", "/b.csv", peer.nothing(405))
    peer.on("GET", "/b.csv", peer.refuses(404, "NotFound"))
    with pytest.raises(NotFound):
        await url_pin(http, f"{peer.url}/b.csv")


async def test_a_content_that_breaks_off_has_no_hash(peer, http):
    peer.on("HEAD", "/a.csv", peer.nothing(405))
    peer.on("GET", "/a.csv", peer.cuts_in_the_body)

    with pytest.raises(LostReply):
        await url_pin(http, f"{peer.url}/a.csv")
