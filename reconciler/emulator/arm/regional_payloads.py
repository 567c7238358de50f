"""A definition for another region: its secrets encrypted with that region's certificate (new-protocol 3).

An envelope for a region follows from the one for the service's own region, which is new at each write; so it is new at
each write as well, the same between two of them, and need not be kept.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.emulator.arm.definition import ENVELOPE_PREFIX, ENVELOPE_RANDOM_BYTES, Json
from reconciler.emulator.execution.wire_format import spelling


def for_region(properties: Json, contents: Mapping[str, str], region: str) -> Json:
    """Return a sealed definition with the envelopes and the certificate thumbprints of `region`.

    Args:
        properties: the definition as GET shows it.
        contents: what its envelopes hold, by envelope.
        region: code of a region, such as ``westcentralus``.
    """

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(inner) for inner in value]
        if isinstance(value, str):
            return _envelope(value, region) if value in contents else value
        if not isinstance(value, Mapping):
            return value
        result = {name: changed(inner) for name, inner in value.items()}
        key = spelling(result, "certificateThumbprint")
        if key is not None and result[key]:
            result[key] = _thumbprint(region)
        return result

    return {name: changed(value) for name, value in properties.items()}


def contents_everywhere(contents: Mapping[str, str], regions: Iterable[str]) -> dict[str, str]:
    """Return what the envelopes of the service's own region and of `regions` hold: a read may be written back."""
    abroad = {_envelope(envelope, region): plain for region in regions for envelope, plain in contents.items()}
    return {**contents, **abroad}


def contents_of_a_copy(contents: Mapping[str, str], own_region: str, region: str) -> dict[str, str]:
    """Return what a service's envelopes hold, opened by the certificate of `region` alone."""
    return {
        envelope if own_region == region else _envelope(envelope, region): plain for envelope, plain in contents.items()
    }


def _envelope(envelope: str, region: str) -> str:
    derived = hashlib.shake_256(f"{region}\0{envelope}".encode()).digest(ENVELOPE_RANDOM_BYTES)
    return base64.b64encode(ENVELOPE_PREFIX + derived).decode()


def _thumbprint(region: str) -> str:
    return hashlib.sha256(region.encode()).hexdigest()[:40].upper()
