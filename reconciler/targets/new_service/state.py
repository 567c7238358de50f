"""What the specs and Resource Manager say of a New web service, in the plan's words. Pure.

The names of settings are those of the wire, and ``tags.NAME``, ``keys.primary``, ``storage.key``, ``commitmentPlan``
for what a spec has fields of its own for. A key's value is only ever ``as referenced`` or ``another``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pydantic import SecretStr

from reconciler.azure.arm.definition import find_trained_model, member, trained_models
from reconciler.azure.errors import DefinitionError
from reconciler.plan.states import (
    DefinitionDifference,
    DesiredTarget,
    LiveBinding,
    LiveTarget,
    Location,
    ModelBinding,
    Problem,
    Scalar,
    VersionKey,
)
from reconciler.plan.steps import ANOTHER, AS_REFERENCED
from reconciler.spec.documents import NewWebService
from reconciler.spec.documents.tag_rules import TAGS_LIMIT
from reconciler.targets.new_service.definition.form import Definition, without_query
from reconciler.targets.ownership import is_ours, markers_of_tags, without_ours
from reconciler.targets.settings import Setting, managed

KIND = "NewWebService"
STORAGE_KEY = "storage.key"
COMMITMENT_PLAN = "commitmentPlan"
KEYS = "keys."
TAGS = "tags."
SETTINGS = (
    Setting("maxConcurrentCalls", "max_concurrent_calls", ("realtimeConfiguration", "maxConcurrentCalls")),
    Setting("diagnostics", "diagnostics", ("diagnostics", "level")),
    Setting("title", "title", ("title",)),
    Setting("description", "description", ("description",)),
    Setting("exposeSampleData", "expose_sample_data", ("exposeSampleData",)),
)
"""By the attributes of `NewSettings`, with their places in a definition's properties."""

_DIGITS = 16
_LEAST_KEY_BYTES = 32


def desired(identity: str, document: NewWebService, storage_key: SecretStr | None) -> DesiredTarget:
    """Return a document in the plan's words."""
    spec = document.spec
    settings = managed(SETTINGS, spec.settings)
    settings |= {f"{TAGS}{name}": value for name, value in spec.tags.items()}
    if spec.keys is not None:
        referenced = {"primary": spec.keys.primary, "secondary": spec.keys.secondary}
        settings |= {f"{KEYS}{name}": AS_REFERENCED for name, each in referenced.items() if each is not None}
    if spec.commitment_plan is not None:
        settings[COMMITMENT_PLAN] = spec.commitment_plan
    absent = spec.state == "absent"
    return DesiredTarget(
        name=document.metadata.name,
        kind=KIND,
        identity=identity,
        bindings=tuple(ModelBinding(use.resource, VersionKey(use.name, use.version)) for use in spec.bindings),
        settings={} if absent else settings,
        secret_digests={} if absent or storage_key is None else {STORAGE_KEY: secret_digest(identity, storage_key)},
        absent=absent,
    )


def secret_digest(identity: str, secret: SecretStr) -> str:
    """Return the record of a storage key: 16 hex digits for this target, from which the key cannot be guessed."""
    text = secret.get_secret_value().strip()
    return hashlib.sha256(f"{identity}\0{text}".encode()).hexdigest()[:_DIGITS]


def is_storage_key(secret: SecretStr) -> bool:
    """Whether a secret has as many random bits as a storage account's key, of which alone a digest may be kept."""
    try:
        return len(base64.b64decode(secret.get_secret_value().strip(), validate=True)) >= _LEAST_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def live_definition(identity: str, resources: Sequence[str], definition: Definition) -> LiveTarget:
    """Return a web service with these trained models, as its definition shows it."""
    properties = member(definition, "properties") or {}
    tags = member(definition, "tags") or {}
    settings: dict[str, Scalar] = {each.wire: member(properties, *each.place) for each in SETTINGS}
    settings |= {f"{TAGS}{name}": value for name, value in without_ours(tags).items()}
    markers = markers_of_tags(tags)
    state = str(member(properties, "provisioningState") or "")
    seen = LiveTarget(
        identity,
        exists=True,
        markers=markers,
        managed=is_ours(tags),
        settings=settings,
        read_only=member(properties, "readOnly") is True,
    )
    try:
        assets = {resource: find_trained_model(definition, resource) for resource in resources}
    except DefinitionError as error:
        problem = Problem("no-trained-model", str(error), "Correct model.resource in the spec")
        return replace(seen, problem=problem, fingerprint=digest(state))
    return replace(
        seen,
        resources=tuple(sorted({*resources, *_offered(definition)})),
        bound={
            resource: LiveBinding(Location(*uri_parts(asset.uri)), asset.pointer, without_query(asset.uri))
            for resource, asset in assets.items()
        },
        fingerprint=digest(
            state,
            str(member(properties, "modifiedOn") or ""),
            {resource: without_query(asset.uri) for resource, asset in assets.items()},
            settings,
            [str(marker.version) for marker in markers],
        ),
    )


def with_tags_as_wanted(live: LiveTarget, wanted: Iterable[str]) -> LiveTarget:
    """Return the same with its tags named in the casing of a spec: to Azure that makes no difference."""
    spelt = {f"{TAGS}{name}".casefold(): f"{TAGS}{name}" for name in wanted}
    return replace(live, settings={spelt.get(name.casefold(), name): value for name, value in live.settings.items()})


def too_many_tags(count: int) -> Problem | None:
    """Return the problem of too many tags, including those of the marker."""
    if count <= TAGS_LIMIT:
        return None
    text = (
        f"With the tags of the spec and of the ownership marker there would be {count} tags; Azure allows {TAGS_LIMIT}"
    )
    return Problem("too-many-tags", text, "Remove tags that are not needed, from the service or from the spec")


def with_secrets_and_plan(
    live: LiveTarget,
    *,
    keys: Mapping[str, bool],
    plan: str | None,
    difference: DefinitionDifference,
) -> LiveTarget:
    """Return the same with what its definition alone does not tell.

    Args:
        live: As `live_definition` gives it.
        keys: Of each managed key whether it is the one that is referenced.
        plan: The commitment plan that pays for it; None if that is not managed, or none does.
        difference: To the definition in the file.
    """
    settings = dict(live.settings)
    settings |= {f"{KEYS}{name}": AS_REFERENCED if same else ANOTHER for name, same in keys.items()}
    if plan is not None:
        settings[COMMITMENT_PLAN] = plan
    told = digest(live.fingerprint, settings, difference.sentences)
    return replace(live, settings=settings, definition=difference, fingerprint=told)


def is_never_provisioned(definition: Definition) -> bool:
    """Whether a service has no definition: its creation runs still, or failed (new-protocol 1, "Failed services")."""
    properties = member(definition, "properties") or {}
    has_payload = member(properties, "assets") is not None or member(properties, "package") is not None
    has_account = bool(member(properties, "storageAccount", "name"))
    return not has_payload and not member(properties, "packageType") and not has_account


def is_being_provisioned(definition: Definition) -> bool:
    """Whether a write of it is under way."""
    return str(member(definition, "properties", "provisioningState") or "").casefold() == "provisioning"


def _offered(definition: Definition) -> list[str]:
    try:
        return trained_models(definition)
    except DefinitionError:
        return []  # No assets: it trains, or was made by no Studio.


def uri_parts(uri: str) -> tuple[str, str]:
    """Return a blob's uri as (base of the account, the rest), without its query.

    A path-style address, as an account on an IP address has, keeps the account's name in the base.
    """
    scheme, _, rest = without_query(uri).partition("://")
    host, _, path = rest.partition("/")
    if host.partition(":")[0].replace(".", "").isdigit() or host.startswith("localhost"):
        account, _, path = path.partition("/")
        host = f"{host}/{account}"
    return f"{scheme}://{host}/", path


def account_of(uri: str) -> str:
    """Return the name of the storage account that a blob's uri is in."""
    base = uri_parts(uri)[0].partition("://")[2].rstrip("/")
    return base.rpartition("/")[2] if "/" in base else base.partition(".")[0]


def digest(*observed: object) -> str:
    """Return a digest of what was observed."""
    return hashlib.sha256(json.dumps(observed, sort_keys=True, default=str).encode()).hexdigest()
