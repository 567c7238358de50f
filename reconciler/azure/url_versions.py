"""What tells one content behind a URL from another: its ETag, else its date, else the hash of the content itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from reconciler.azure.errors import ServiceError, Unpinnable
from reconciler.azure.http import Http

LARGEST_HASHED = 256 << 20
"""Bytes that are fetched, at each plan, to pin a content that its server does not identify."""

_NO_HEAD = frozenset({405, 501})


async def url_pin(http: Http, url: str, *, largest: int = LARGEST_HASHED) -> str:
    """Return a text that is another one when the content behind a URL is; it holds nothing of the URL.

    Args:
        http: The pipeline.
        url: Readable without a key.
        largest: After how many bytes to give up on hashing.

    Raises:
        Unpinnable: the server says neither ETag nor Last-Modified, and the content is too large to be hashed.
        ServiceError: there is nothing, or nothing answers.
    """
    operation = "look at a training input"
    try:
        reply = await http.request("HEAD", url, token=None, operation=operation)
    except ServiceError as error:
        if error.status not in _NO_HEAD:
            raise
    else:
        if told := _told(reply.headers):
            return told
    async with http.download(url, operation=operation) as download:
        if told := _told(download.headers):
            return told
        digest, size = hashlib.sha256(), 0
        async for chunk in download.chunks:
            digest.update(chunk)
            size += len(chunk)
            if size > largest:
                raise Unpinnable(
                    "the server sends neither ETag nor Last-Modified, and the file is larger than the "
                    f"{largest >> 20} MB that reconciler downloads to hash it"
                )
    return f"sha256:{digest.hexdigest()}"


def _told(headers: Mapping[str, str]) -> str:
    named = {name.lower(): value for name, value in headers.items()}
    if etag := named.get("etag"):
        return f"etag:{etag}"
    if date := named.get("last-modified"):
        return f"date:{date}:{named.get('content-length', '')}"
    return ""
