"""The trained model that a service uses for one call: the service's own copy, or its blob read again.

Whether a service copies what an endpoint is patched to is not known (classic-protocol 1.7); where it does not, an
expired SAS, a deleted or an overwritten blob shows at the next load.
"""

import hashlib
import re
from typing import NamedTuple

from reconciler.emulator.context import Context
from reconciler.emulator.execution.services import BoundModel
from reconciler.emulator.storage.client import BlobAccessError, BlobReference

_LOCAL = re.compile(r"^http://127\.0\.0\.1:\d+(?=/)")


class Loaded(NamedTuple):
    """The bytes of a trained model and their SHA-256."""

    ilearner: bytes
    digest: str


class CannotLoad(Exception):
    """A trained model whose blob cannot be read any more; the text has no part of a signature."""


async def load(context: Context, bound: BoundModel) -> Loaded:
    """Return the model to use now.

    Raises:
        CannotLoad: it is read at each load, and cannot be.
    """
    if bound.sas_blob_token is None or bound.relative_location is None:
        return Loaded(context.models.read(bound.digest), bound.digest)
    reference = BlobReference(
        relative_location=bound.relative_location,
        # This server may have come back on another port.
        base_location=_LOCAL.sub(context.server_url, bound.base_location or ""),
        sas_blob_token=bound.sas_blob_token,
    )
    try:
        ilearner = await context.blobs.read(reference)
    except BlobAccessError as error:
        raise CannotLoad(f"{error.code}: {error.message}") from error
    return Loaded(ilearner, hashlib.sha256(ilearner).hexdigest())
