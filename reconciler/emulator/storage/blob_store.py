"""The state of one storage service: containers, blobs and blocks not yet committed.

No HTTP and no authentication here. Every change is durable when its method returns: the content's file first,
then the document that refers to it, then the removal of what nothing refers to any more.
"""

from __future__ import annotations

import bisect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from reconciler.emulator.documents import Document, Documents
from reconciler.emulator.storage.content_files import Content, ContentFiles
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.leases import Lease, after_write, lease_document
from reconciler.emulator.storage.records import Blob, BlobPage, Container, blob_of, container_of, pieces_of

Precondition = Callable[[Blob | None], None]
"""Raises StorageError if the blob, as it is at the moment of the change, forbids it."""


class BlobStore:
    """The containers of every account; each method names its account first."""

    def __init__(
        self,
        documents: Documents,
        directory: Path,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._documents = documents
        self._containers = documents.collection("storage-containers")
        self._blobs = documents.collection("storage-blobs")
        self._blocks = documents.collection("storage-blocks")
        self._files = ContentFiles(directory, new_id)
        self._clock = clock
        self._new_id = new_id
        self._names: dict[str, list[str]] = {}
        for key in self._blobs:
            account, container, name = key.split("/", 2)
            self._names.setdefault(f"{account}/{container}", []).append(name)
        for names in self._names.values():
            names.sort()
        self._files.sweep({d["content"] for c in (self._blobs, self._blocks) for d in c.values()})

    # Containers

    def containers(self, account: str) -> Iterator[Container]:
        """Return the account's containers, by name."""
        prefix = f"{account}/"
        for key in sorted(k for k in self._containers if k.startswith(prefix)):
            yield self.container(account, key.removeprefix(prefix))

    def container(self, account: str, name: str) -> Container:
        """Return one container.

        Raises:
            StorageError: ContainerNotFound.
        """
        found = self._containers.get(f"{account}/{name}")
        if found is None:
            raise StorageError("ContainerNotFound")
        return container_of(name, found)

    def create_container(self, account: str, name: str, public: str, metadata: Mapping[str, str]) -> Container:
        """Make an empty container.

        Raises:
            StorageError: ContainerAlreadyExists.
        """
        if f"{account}/{name}" in self._containers:
            raise StorageError("ContainerAlreadyExists")
        self._containers[f"{account}/{name}"] = {
            "etag": self._etag(),
            "modified": self._clock().isoformat(),
            "public": public,
            "metadata": dict(metadata),
        }
        return self.container(account, name)

    def set_container_metadata(self, account: str, name: str, metadata: Mapping[str, str]) -> Container:
        """Replace a container's metadata, which gives it a new ETag.

        Raises:
            StorageError: ContainerNotFound.
        """
        self.container(account, name)
        key = f"{account}/{name}"
        self._containers[key] = {**self._containers[key], "metadata": dict(metadata), **self._stamp()}
        return self.container(account, name)

    def set_container_lease(self, account: str, name: str, lease: Lease) -> None:
        """Store a container's changed lease; the container's ETag stays."""
        key = f"{account}/{name}"
        self._containers[key] = {**self._containers[key], "lease": lease_document(lease)}

    def delete_container(self, account: str, name: str) -> None:
        """Delete a container with all that is in it.

        Raises:
            StorageError: ContainerNotFound.
        """
        self.container(account, name)
        prefix = f"{account}/{name}/"
        contents: list[str] = []
        with self._documents.transaction():
            for collection in (self._blobs, self._blocks):
                for key in [k for k in collection if k.startswith(prefix)]:
                    contents.append(collection[key]["content"])
                    del collection[key]
            del self._containers[f"{account}/{name}"]
        self._names.pop(f"{account}/{name}", None)
        self._discard(contents)

    # Blobs

    def find(self, account: str, container: str, name: str) -> Blob | None:
        """Return one blob, or None.

        Raises:
            StorageError: ContainerNotFound.
        """
        self.container(account, container)
        found = self._blobs.get(f"{account}/{container}/{name}")
        return None if found is None else blob_of(name, found)

    def paths(self) -> list[str]:
        """Return the path of every blob: ``/account/container/blob``."""
        return [f"/{key}" for key in self._blobs]

    def open(self, blob: Blob) -> BinaryIO:
        """Open a blob's content; it can be read to its end even if the blob is replaced meanwhile."""
        return self._files.open(blob.content)

    async def put(
        self,
        account: str,
        container: str,
        name: str,
        chunks: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        precondition: Precondition,
        accept: Callable[[Content], None],
        blocks: Sequence[tuple[str, int]] = (),
        copied: Mapping[str, str] | None = None,
    ) -> Blob:
        """Write a whole blob, replacing what was there and its uncommitted blocks.

        Args:
            account: the account.
            container: the container, which must exist.
            name: the blob's name.
            chunks: the content.
            headers: content headers to store; Content-MD5 is added.
            metadata: the user's own names and values.
            precondition: judged before the content is read, and again when it takes effect.
            accept: judges the content once it is there, and raises StorageError to refuse it.
            blocks: id and length of each block that the content is made of.
            copied: headers that say how it was copied, for a copy.

        Raises:
            StorageError: ContainerNotFound, or what the two judges raise.
        """
        precondition(self.find(account, container, name))
        content = await self._files.write(chunks)
        with self._provisional(content):
            accept(content)
            precondition(self.find(account, container, name))
            blob, obsolete = self._record(
                account,
                container,
                name,
                content=content,
                headers={**headers, "Content-MD5": content.md5},
                metadata=metadata,
                blocks=blocks,
                copied=copied or {},
            )
        self._discard(obsolete)
        return blob

    async def put_block(
        self,
        account: str,
        container: str,
        name: str,
        block_id: str,
        chunks: AsyncIterator[bytes],
        *,
        accept: Callable[[Content], None],
    ) -> Content:
        """Keep a block until a block list commits or drops it; arguments as in `put`."""
        self.container(account, container)
        content = await self._files.write(chunks)
        with self._provisional(content):
            accept(content)
            self.container(account, container)
            key = _block_key(account, container, name, block_id)
            before = self._blocks.get(key)
            self._blocks[key] = {"content": content.name, "length": content.length}
        if before is not None:
            self._discard([before["content"]])
        return content

    def uncommitted(self, account: str, container: str, name: str) -> dict[str, Document]:
        """Return the blocks that wait to be committed, by their ids."""
        prefix = _block_key(account, container, name, "")
        return {k.removeprefix(prefix): self._blocks[k] for k in self._blocks if k.startswith(prefix)}

    async def commit(
        self,
        account: str,
        container: str,
        name: str,
        wanted: Sequence[tuple[str, str]],
        *,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        precondition: Precondition,
    ) -> Blob:
        """Make a blob out of blocks, in the order wanted; other uncommitted blocks are dropped.

        Args:
            account: the account.
            container: the container, which must exist.
            name: the blob's name.
            wanted: for each block ``Committed``, ``Uncommitted`` or ``Latest``, and its id.
            headers: content headers to store.
            metadata: the user's own names and values.
            precondition: as in `put`.

        Raises:
            StorageError: InvalidBlockList if a block is not where it is looked for.
        """
        old = self.find(account, container, name)
        precondition(old)
        pieces = pieces_of(wanted, old, self.uncommitted(account, container, name))
        try:
            content = await self._files.join(pieces)
        except FileNotFoundError:
            # Another writer committed or replaced the blob while its blocks were being read.
            raise StorageError("InvalidBlockList") from None
        with self._provisional(content):
            precondition(self.find(account, container, name))
            blob, obsolete = self._record(
                account,
                container,
                name,
                content=content,
                headers=headers,
                metadata=metadata,
                blocks=[(block_id, piece.length) for (_, block_id), piece in zip(wanted, pieces, strict=True)],
            )
        self._discard(obsolete)
        return blob

    def describe(self, account: str, container: str, blob: Blob, **members: Mapping[str, str]) -> Blob:
        """Replace a blob's ``metadata`` or its ``headers``, which gives it a new ETag."""
        key = f"{account}/{container}/{blob.name}"
        lease = lease_document(after_write(blob.lease, self._clock()))
        self._blobs[key] = {**self._blobs[key], **members, "lease": lease, **self._stamp()}
        return blob_of(blob.name, self._blobs[key])

    def set_lease(self, account: str, container: str, name: str, lease: Lease) -> None:
        """Store a blob's changed lease; the blob's ETag stays."""
        key = f"{account}/{container}/{name}"
        self._blobs[key] = {**self._blobs[key], "lease": lease_document(lease)}

    def delete(self, account: str, container: str, name: str) -> None:
        """Delete a blob and its uncommitted blocks.

        Raises:
            StorageError: ContainerNotFound or BlobNotFound.
        """
        blob = self.find(account, container, name)
        if blob is None:
            raise StorageError("BlobNotFound")
        with self._documents.transaction():
            contents = [blob.content, *self._drop_blocks(account, container, name)]
            del self._blobs[f"{account}/{container}/{name}"]
        names = self._names[f"{account}/{container}"]
        del names[bisect.bisect_left(names, name)]
        self._discard(contents)

    def page(self, account: str, container: str, *, prefix: str, delimiter: str, marker: str, size: int) -> BlobPage:
        """List blobs by name, those that share a prefix up to the delimiter as one entry.

        Args:
            account: the account.
            container: the container.
            prefix: what names must start with.
            delimiter: empty for a flat list.
            marker: the first name of this page, as the page before gave it; empty at the start.
            size: the most entries of a page.

        Raises:
            StorageError: ContainerNotFound.
        """
        self.container(account, container)
        names = self._names.get(f"{account}/{container}", [])
        entries: list[Blob | str] = []
        position = bisect.bisect_left(names, max(prefix, marker))
        while position < len(names) and names[position].startswith(prefix):
            name = names[position]
            if len(entries) == size:
                return BlobPage(entries, name)
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                entries.append(blob_of(name, self._blobs[f"{account}/{container}/{name}"]))
                position += 1
                continue
            shared = name[: cut + len(delimiter)]
            entries.append(shared)
            while position < len(names) and names[position].startswith(shared):
                position += 1
        return BlobPage(entries, "")

    # What the above have in common

    @contextmanager
    def _provisional(self, content: Content) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._files.discard(content.name)
            raise

    def _record(
        self,
        account: str,
        container: str,
        name: str,
        *,
        content: Content,
        headers: Mapping[str, str],
        metadata: Mapping[str, str],
        blocks: Sequence[tuple[str, int]],
        copied: Mapping[str, str] | None = None,
    ) -> tuple[Blob, list[str]]:
        # The second result are contents that nothing refers to any more.
        old = self.find(account, container, name)
        key = f"{account}/{container}/{name}"
        stamp = self._stamp()
        with self._documents.transaction():
            contents = self._drop_blocks(account, container, name)
            self._blobs[key] = {
                "content": content.name,
                "length": content.length,
                "created": old.created.isoformat() if old else stamp["modified"],
                "headers": dict(headers),
                "metadata": dict(metadata),
                "blocks": [list(block) for block in blocks],
                "lease": lease_document(after_write(old.lease, self._clock())) if old else None,
                "copied": dict(copied or {}),
                **stamp,
            }
        if old is None:
            bisect.insort(self._names.setdefault(f"{account}/{container}", []), name)
        else:
            contents.append(old.content)
        return blob_of(name, self._blobs[key]), contents

    def _drop_blocks(self, account: str, container: str, name: str) -> list[str]:
        contents = []
        for block_id, block in self.uncommitted(account, container, name).items():
            contents.append(block["content"])
            del self._blocks[_block_key(account, container, name, block_id)]
        return contents

    def _discard(self, contents: Sequence[str]) -> None:
        for content in contents:
            self._files.discard(content)

    def _stamp(self) -> dict[str, str]:
        return {"etag": self._etag(), "modified": self._clock().isoformat()}

    def _etag(self) -> str:
        return f'"0x{self._new_id()[:15].upper()}"'


def _block_key(account: str, container: str, name: str, block_id: str) -> str:
    # A line feed ends the name: no blob's block key is then the prefix of another's.
    return f"{account}/{container}/{name}\n{block_id}"
