"""Containers and blobs as values, and how they are read from their documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.emulator.documents import Document
from reconciler.emulator.storage.content_files import Piece
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.leases import NO_LEASE, Lease, lease_of


@dataclass(frozen=True)
class Container:
    """A container; `public` is ``blob``, ``container`` or empty, as in x-ms-blob-public-access."""

    name: str
    etag: str
    modified: datetime
    public: str
    metadata: Mapping[str, str]
    lease: Lease = NO_LEASE


@dataclass(frozen=True)
class Blob:
    """A committed block blob.

    Attributes:
        name: its name in the container.
        content: the name of the file that holds it.
        length: bytes.
        etag: with its quotes.
        created: when a blob of this name was first written.
        modified: when this content or its properties were written.
        headers: stored content headers, such as Content-Type and Content-MD5.
        metadata: the user's own names and values.
        blocks: id and length of each block, in their order; empty for a blob put in one piece.
        lease: its lease, past or present.
        copied: headers that say how it was copied from another; empty if it was not.
    """

    name: str
    content: str
    length: int
    etag: str
    created: datetime
    modified: datetime
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    blocks: Sequence[tuple[str, int]]
    lease: Lease = NO_LEASE
    copied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BlobPage:
    """One page of a listing: blobs, and prefixes as plain text; `next_marker` is empty at the end."""

    entries: Sequence[Blob | str]
    next_marker: str


def container_of(name: str, document: Mapping[str, Any]) -> Container:
    """Read a container from its document."""
    return Container(
        name=name,
        etag=document["etag"],
        modified=datetime.fromisoformat(document["modified"]),
        public=document["public"],
        metadata=document["metadata"],
        lease=lease_of(document),
    )


def blob_of(name: str, document: Mapping[str, Any]) -> Blob:
    """Read a blob from its document."""
    return Blob(
        name=name,
        content=document["content"],
        length=document["length"],
        etag=document["etag"],
        created=datetime.fromisoformat(document["created"]),
        modified=datetime.fromisoformat(document["modified"]),
        headers=document["headers"],
        metadata=document["metadata"],
        blocks=[(block_id, length) for block_id, length in document["blocks"]],
        lease=lease_of(document),
        copied=document.get("copied", {}),
    )


def pieces_of(wanted: Sequence[tuple[str, str]], old: Blob | None, waiting: Mapping[str, Document]) -> list[Piece]:
    """Find the blocks that a block list asks for, committed or waiting.

    Raises:
        StorageError: InvalidBlockList if a block is not where it is looked for.
    """
    committed: dict[str, Piece] = {}
    offset = 0
    for block_id, length in old.blocks if old else ():
        committed[block_id] = Piece(old.content if old else "", offset, length)
        offset += length
    pieces = []
    for source, block_id in wanted:
        found: Piece | None = None
        if source != "Committed" and block_id in waiting:
            found = Piece(waiting[block_id]["content"], 0, waiting[block_id]["length"])
        elif source != "Uncommitted":
            found = committed.get(block_id)
        if found is None:
            raise StorageError("InvalidBlockList", f"Block {block_id!r} is not there.")
        pieces.append(found)
    return pieces
