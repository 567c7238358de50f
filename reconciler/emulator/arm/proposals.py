"""The New web service that a write asks for, worked out before anything is done.

Pure functions: a whole service as it will be, or an `ArmError` that says what is wrong with the request.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from reconciler.emulator.arm import web_services
from reconciler.emulator.arm.definition import (
    PAYLOAD,
    AssetsMerge,
    Json,
    check,
    merged,
    payload_source,
    unsealed,
    written_properties,
)
from reconciler.emulator.arm.definition_versions import CURRENT, PREVIEW, current_form
from reconciler.emulator.arm.errors import ArmError, bad_request, invalid_json
from reconciler.emulator.arm.regional_payloads import contents_everywhere
from reconciler.emulator.arm.web_services import WebService
from reconciler.emulator.config.regions import REGIONS, region_code
from reconciler.emulator.execution.wire_format import member

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True)
class Proposal:
    """A whole service as a write wants it. The properties hold no key, and no envelope."""

    location: str
    tags: dict[str, str] | None
    properties: Json = field(repr=False)
    keys: dict[str, str] = field(repr=False)
    storage_key: str = field(repr=False)
    commitment_plan: str | None
    """Id of the plan that the service gets with this write; None if it names none, or the one that it has."""
    payload: Json | None = field(default=None, repr=False)
    """Where the payload is to be fetched, if the request does not have it: ``uri`` and ``credentials``."""


def new_key(random_bytes: RandomBytes) -> str:
    """Return a service key like the ones that the service makes: base64 of 64 bytes."""
    return base64.b64encode(random_bytes(64)).decode()


def propose_put(
    current: WebService | None,
    body: Mapping[str, Any],
    random_bytes: RandomBytes,
    *,
    version: str = CURRENT,
    plan: str | None = None,
    envelopes: Mapping[str, str] | None = None,
) -> Proposal:
    """Return what a PUT proposes: it overwrites silently, and members that it leaves out are gone.

    Keys that are left out are made again [I].

    Args:
        current: the service, if there is one.
        body: of the request.
        random_bytes: for new keys.
        version: of the request.
        plan: id of the commitment plan that the service has.
        envelopes: what the envelopes hold that can be opened in the service's region [I].

    Raises:
        ArmError: 400 or 409, saying what is wrong.
    """
    location = _location(body, current)
    written = current_form(written_properties(body), version, None if current is None else current.properties)
    written = unsealed(written, envelopes or {})
    _check_writable(current)
    keys = written.pop("keys", {})
    proposal = Proposal(
        location=location,
        tags=tags_of(body) or {},
        properties=written,
        keys={name: str(keys.get(name) or new_key(random_bytes)) for name in ("primary", "secondary")},
        storage_key=str(written.get("storageAccount", {}).get("key", "")),
        commitment_plan=_commitment_plan(written, plan),
        payload=payload_source(written),
    )
    return _checked(current, proposal)


def propose_patch(
    current: WebService,
    body: Mapping[str, Any],
    assets: AssetsMerge,
    *,
    version: str = CURRENT,
    plan: str | None = None,
) -> Proposal:
    """Return what a PATCH proposes (new-protocol 3, "PATCH body rules").

    A location is required in 2016-05-01-preview, and ignored in 2017-01-01.

    Args:
        current: the service.
        body: of the request.
        assets: what becomes of the assets that the request does not name.
        version: of the request.
        plan: id of the commitment plan that the service has.

    Raises:
        ArmError: 400 or 409, saying what is wrong.
    """
    if version == PREVIEW:
        _location(body, current)
    contents = contents_everywhere(current.contents, current.regions)
    written = unsealed(current_form(written_properties(body), version, current.properties), contents)
    _check_writable(current)
    storage_key = str(written.get("storageAccount", {}).get("key", "")) or current.storage_key
    keys = written.pop("keys", {})
    tags = tags_of(body)
    proposal = Proposal(
        location=current.location,
        tags=current.tags if tags is None else tags,
        properties=merged(unsealed(current.properties or {}, current.contents), written, assets=assets),
        keys={**current.keys, **{name: str(value) for name, value in keys.items()}},
        storage_key=storage_key,
        commitment_plan=_commitment_plan(written, plan),
        payload=payload_source(written),
    )
    return _checked(current, proposal)


def with_payload(proposal: Proposal, payload: Json, assets: AssetsMerge | None) -> Proposal:
    """Return a proposal whose payload has been fetched.

    Args:
        proposal: of a PUT, or of a PATCH.
        payload: what the blob holds, as `payload_members` gives it, envelopes opened.
        assets: how a PATCH merges; None for a PUT, to which the blob is the whole payload.

    Raises:
        ArmError: 400, saying what is wrong.
    """
    if assets is None:
        rest = {name: value for name, value in proposal.properties.items() if name not in PAYLOAD}
        properties = {**rest, **payload}
    else:
        properties = merged(proposal.properties, payload, assets=assets)
    check(properties)
    return replace(proposal, properties=properties, payload=None)


def _checked(current: WebService | None, proposal: Proposal) -> Proposal:
    check(proposal.properties)
    storage = str(member(proposal.properties, "storageAccount", "name") or "")
    if not storage or not proposal.storage_key:
        raise bad_request("StorageAccountRequired", "The storage account needs a name and a key.")
    before = None if current is None else member(current.properties, "storageAccount", "name")
    if before is not None and before.lower() != storage.lower():
        raise bad_request(
            "CannotChangeStorageAccount", "The storage account of a web service cannot be changed after its creation."
        )
    properties = {
        name: value
        for name, value in proposal.properties.items()
        if name not in ("commitmentPlan", "payloadsInBlobStorage", "payloadsLocation")
    }
    return replace(proposal, properties={**properties, "storageAccount": {"name": storage}})


def _check_writable(current: WebService | None) -> None:
    # new-protocol 1: true is one-way, the service can then only be deleted; the code is [I].
    if current is not None and member(current.properties, "readOnly") is True:
        raise bad_request("WebServiceIsReadOnly", "The web service is read-only: it can be deleted, not changed.")


def _commitment_plan(written: Json, plan: str | None) -> str | None:
    """Return the plan that a request gives the service; one that it has stays (new-protocol 1)."""
    given = written.get("commitmentPlan", {}).get("id")
    if given is None:
        return None
    if plan is not None and str(given).lower() != plan.lower():
        raise bad_request("CannotChangeCommitmentPlan", "The commitment plan is set at creation and cannot be changed.")
    return str(given) if plan is None else None


def tags_of(body: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the tags in a request; None if it has none.

    Raises:
        ArmError: 400, if they are not tags.
    """
    tags = member(body, "tags")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(tag, str) for tag in tags.values())):
        raise invalid_json("tags must be an object whose values are strings")
    return tags


def known_location(body: Mapping[str, Any], resource_type: str) -> str:
    """Return the location in a request, in display form.

    Raises:
        ArmError: 400, if there is none, or it is not one of the provider's.
    """
    given = member(body, "location")
    if not isinstance(given, str) or not given:
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    location = next((region for region in REGIONS if region_code(region) == region_code(given)), None)
    if location is None:
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{given}' is not available for resource type '{resource_type}'. "
            f"List of available regions for the resource type is '{','.join(map(region_code, REGIONS))}'.",
        )
    return location


def _location(body: Mapping[str, Any], current: WebService | None) -> str:
    location = known_location(body, web_services.RESOURCE_TYPE)
    if current is not None and current.location != location:
        raise ArmError(
            409,
            "InvalidResourceLocation",
            f"The resource '{current.name}' already exists in location '{region_code(current.location)}'. A resource "
            f"with the same name cannot be created in location '{region_code(location)}'. Please select a new "
            "resource name.",
        )
    return location


def as_json(proposal: Proposal) -> Json:
    """Return a proposal as an operation keeps it."""
    return asdict(proposal)
