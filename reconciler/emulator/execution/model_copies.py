"""The emulator's own copies of trained models.

A service copies the model when it is updated, so that neither an expired SAS nor a deleted blob harms it
later (new-protocol 2, classic-protocol 1.7).
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

from reconciler.emulator.execution.services import BoundModel
from reconciler.emulator.ml.types import TrainingError
from reconciler.emulator.ml.workers import Workers
from reconciler.emulator.storage.client import BlobAccessError, BlobClient, BlobReference

MODEL_EXTENSION = ".ilearner"


class ModelRefused(Exception):
    """A blob that cannot serve as a trained model.

    Attributes:
        code: BlobNotFound, InvalidBlob, InvalidBlobExtension, ExpiryTimeInThePast or IncompatibleModel
            (classic-protocol 4.1).
        message: what is wrong, without any part of a signature.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TrainedModels:
    """Copies by the SHA-256 of their bytes."""

    def __init__(self, directory: Path, clock: Callable[[], datetime]) -> None:
        self._directory = directory
        self._clock = clock
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, ilearner: bytes) -> str:
        """Keep a copy on disk and return its digest; a model that is there already is not written again."""
        digest = hashlib.sha256(ilearner).hexdigest()
        path = self._path(digest)
        if not path.exists():
            # A name of its own: several requests may keep the same model at once.
            handle, name = tempfile.mkstemp(dir=self._directory, prefix=digest, suffix=".unfinished")
            unfinished = Path(name)
            with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor has no path to open
                file.write(ilearner)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            _sync_directory(self._directory)
        return digest

    def read(self, digest: str) -> bytes:
        """Return the bytes of a kept model."""
        return self._path(digest).read_bytes()

    async def fetch(self, blobs: BlobClient, workers: Workers, reference: BlobReference) -> BoundModel:
        """Fetch the blob of a reference now, check that it is a model that loads, and keep a copy.

        Raises:
            ModelRefused: it is not readable with what the reference offers, not an ``.ilearner``, empty,
                or does not load.
        """
        name = reference.relative_location
        if not name.lower().endswith(MODEL_EXTENSION):
            raise ModelRefused("InvalidBlobExtension", f"{name!r} does not end in {MODEL_EXTENSION}")
        try:
            ilearner = await blobs.read(reference)
        except BlobAccessError as error:
            raise ModelRefused(_refusal(error.code, reference, self._clock()), error.message) from error
        if not ilearner:
            raise ModelRefused("InvalidBlob", f"{name} is empty")
        digest = hashlib.sha256(ilearner).hexdigest()
        try:
            await workers.describe(ilearner, digest)
        except TrainingError as error:
            message = f"{name} is not a trained model: {error.message}"
            raise ModelRefused("IncompatibleModel", message) from error
        await asyncio.to_thread(self.keep, ilearner)
        return BoundModel(digest, reference.base_location, reference.relative_location)

    def _path(self, digest: str) -> Path:
        return self._directory / f"{digest}{MODEL_EXTENSION}"


def _refusal(storage_code: str, reference: BlobReference, now: datetime) -> str:
    if storage_code in {"BlobNotFound", "ContainerNotFound", "ResourceNotFound"}:
        return "BlobNotFound"
    return "ExpiryTimeInThePast" if sas_expired(reference.sas_blob_token, now) else "InvalidBlob"


def sas_expired(token: str | None, now: datetime) -> bool:
    """Return whether a SAS itself says that it has expired; the storage judges one that cannot be read."""
    expiry = parse_qs((token or "").lstrip("?")).get("se", [""])[0]
    try:
        moment = datetime.fromisoformat(expiry)
    except ValueError:
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) < now


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
