"""Which versions the fleet wants, and what each is made of.

A version's recipe is what its training reads: the content of the inputs, the parameters, the training service, the
outputs. Its fingerprint names the artefact's path, so equal recipes meet at one blob and different ones never do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.apply.training_service import training_service_problem
from reconciler.azure.blobs import Blobs
from reconciler.azure.errors import ServiceError, StudioError
from reconciler.plan.states import DesiredVersion, KnownVersion, Location, Problem, VersionKey, VersionState
from reconciler.spec.documents import BlobInput, FileInput, Model, ReadyVersion, Training, UrlInput
from reconciler.spec.secrets import MissingSecret

if TYPE_CHECKING:
    from reconciler.targets.connections import Connections

_AT_ONCE = 16
_CHUNK = 1 << 20
_OWN_ARTEFACT = r"(?P<fingerprint>[0-9a-f]{64})(\.[0-9]+)?\.ilearner\Z"


@dataclass(frozen=True, slots=True)
class Identified:
    """An input and what identifies its content: for the fingerprint, and in words for people."""

    identity: str
    text: str


class RecipeError(Exception):
    """An input can't be read. The message names it; `remedy` says what to do."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, remedy)


async def desired_versions(
    wanted: frozenset[VersionKey], connections: Connections, known: Mapping[VersionKey, KnownVersion]
) -> tuple[DesiredVersion, ...]:
    """Every wanted version with its fingerprint and the place of its artefact. Reads, and changes nothing.

    A version whose recipe can't be read comes with its `problem` instead of raising.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(key: VersionKey) -> DesiredVersion:
        async with gate:
            return await _desired_version(key, connections, known.get(key))

    return tuple(await asyncio.gather(*(one(key) for key in sorted(wanted))))


async def _desired_version(key: VersionKey, connections: Connections, known: KnownVersion | None) -> DesiredVersion:
    model = connections.fleet.models[key.model]
    ready = model.spec.versions.get(key.label)
    if ready is not None:
        return _ready_made(key, model, ready)
    training = model.spec.training
    if training is None:
        problem = Problem(
            "no-recipe",
            f"model {key.model} has neither a training nor a ready-made version {key.label}",
            f"add versions.{key.label} or a training to the model",
        )
        return DesiredVersion(key, None, None, gates=model.spec.gates, problem=problem)
    return await _trained(key, model, training, connections, known)


def _ready_made(key: VersionKey, model: Model, ready: ReadyVersion) -> DesiredVersion:
    location = Location(ready.location.base_location, ready.location.relative_location)
    return DesiredVersion(key, ready_fingerprint(key, location), location, ready_made=True, gates=model.spec.gates)


def ready_fingerprint(key: VersionKey, location: Location) -> str:
    """What identifies a ready-made version: its place, or the recipe that the place is named after.

    What we trained lies at a path made of its recipe's fingerprint (`artefact_path`). So a version that is written down
    as ready-made after the fact is the one that it was: targets that carry our note of it are in sync, and a store that
    has it agrees.
    """
    own = re.search(rf"/{re.escape(key.model)}/{re.escape(key.label)}/{_OWN_ARTEFACT}", location.relative)
    return own["fingerprint"] if own is not None else hashlib.sha256(location.uri.encode()).hexdigest()


async def _trained(
    key: VersionKey, model: Model, training: Training, connections: Connections, known: KnownVersion | None
) -> DesiredVersion:
    wanted = DesiredVersion(
        key,
        None,
        None,
        gates=model.spec.gates,
        training=f"{training.classic.web_service}, endpoint {training.classic.endpoint}",
    )
    try:
        blobs = connections.blobs(model.spec.workspace)
        inputs = await identify_inputs(key, model, connections)
        fingerprint = _fingerprint(key, model, training, connections, inputs)
    except RecipeError as error:
        if known is None or known.state is not VersionState.TRAINING:
            return replace(wanted, problem=error.problem)
        # Its job runs already, and needs its inputs no more: it is seen through by the recipe that it was begun with.
        inputs, fingerprint = {}, known.fingerprint
    except (MissingSecret, StudioError) as error:
        return replace(wanted, problem=Problem("recipe-unreadable", f"workspace {model.spec.workspace}: {error}"))
    if known is None or known.state is VersionState.FAILED:
        try:
            problem = await training_service_problem(connections, model.spec.workspace, training.classic)
        except (MissingSecret, StudioError) as error:
            problem = Problem("training-unreadable", f"workspace {model.spec.workspace}: {error}")
        if problem is not None:
            return replace(wanted, fingerprint=fingerprint, problem=problem)
    container = connections.fleet.workspaces[model.spec.workspace].spec.storage.container
    location = Location(blobs.base, artefact_path(container, key, fingerprint, next_attempt(known)))
    if known is not None and known.state is VersionState.USABLE and known.location is not None:
        location = known.location
        if not blobs.holds(location.base):
            return replace(wanted, fingerprint=fingerprint, location=location, problem=_elsewhere(key, location, blobs))
    return replace(
        wanted,
        fingerprint=fingerprint,
        location=location,
        inputs={name: found.text for name, found in inputs.items()},
    )


def _elsewhere(key: VersionKey, location: Location, blobs: Blobs) -> Problem:
    """The store remembers another account's artefact: a store of one cloud must never steer another."""
    return Problem(
        "artefact-elsewhere",
        f"the store has {key} at {location.uri}, but the workspace's storage is {blobs.base}",
        "give the store that belongs to this cloud (--store), or an empty one",
    )


def _fingerprint(
    key: VersionKey, model: Model, training: Training, connections: Connections, inputs: Mapping[str, Identified]
) -> str:
    recipe = {
        "workspace": connections.fleet.workspaces[model.spec.workspace].spec.id,
        "webService": training.classic.web_service,
        "endpoint": training.classic.endpoint,
        "inputs": {name: found.identity for name, found in inputs.items()},
        "parameters": dict(training.resolve(key.label).parameters),
        "outputs": training.outputs.model_dump(mode="json"),
    }
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def next_attempt(known: KnownVersion | None) -> int:
    """The number of the attempt that a training would be now."""
    if known is None:
        return 1
    return known.attempt + 1 if known.state is VersionState.FAILED else known.attempt


def artefact_path(container: str, key: VersionKey, fingerprint: str, attempt: int) -> str:
    """Where an attempt's ``.ilearner`` goes: ``<container>/<model>/<label>/<fingerprint>.ilearner``.

    A later attempt has its number in the name, so that nothing is ever written twice.
    """
    suffix = "" if attempt == 1 else f".{attempt}"
    return f"{container}/{key.model}/{key.label}/{fingerprint}{suffix}.ilearner"


async def identify_inputs(key: VersionKey, model: Model, connections: Connections) -> dict[str, Identified]:
    """What identifies each input's content.

    Raises:
        RecipeError: an input is missing or can't be read.
    """
    if model.spec.training is None:
        return {}
    resolved = model.spec.training.resolve(key.label)
    found: dict[str, Identified] = {}
    for name, given in resolved.inputs.items():
        match given:
            case FileInput():
                found[name] = await _identify_file(connections.input_file(key.model, given), given)
            case BlobInput():
                found[name] = await _identify_blob(model, given, connections)
            case UrlInput():
                found[name] = await _identify_url(given, connections)
    return found


async def _identify_file(path: Path, given: FileInput) -> Identified:
    try:
        digest, size = await asyncio.to_thread(_hash_file, path)
    except OSError as error:
        reason = error.strerror or "it can't be read"
        raise RecipeError(
            "input-unreadable",
            f"training input {given.file}: {reason} ({path})",
            "put the file there, or correct the path",
        ) from error
    if size == 0:
        raise RecipeError("input-empty", f"training input {given.file} is empty ({path})", "fill it")
    return Identified(f"sha256:{digest}", f"file {given.file} ({size:,} bytes, sha256 {digest[:12]})")


def _hash_file(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


async def _identify_blob(model: Model, given: BlobInput, connections: Connections) -> Identified:
    container, _, name = given.blob.lstrip("/").partition("/")
    properties = await connections.blobs(model.spec.workspace).properties(container, name)
    if properties is None:
        raise RecipeError(
            "input-missing",
            f"training input blob {given.blob} does not exist",
            "upload it, or correct the path",
        )
    if properties.length == 0:
        raise RecipeError("input-empty", f"training input blob {given.blob} is empty", "upload its content")
    # The content's hash where the account keeps one: an ETag changes when the same content is uploaded again.
    content = f"md5:{properties.md5.hex()}" if properties.md5 else f"etag:{properties.etag}"
    return Identified(f"blob:{given.blob}:{content}", f"blob {given.blob} ({properties.length:,} bytes, {content})")


async def _identify_url(given: UrlInput, connections: Connections) -> Identified:
    shown = given.url.partition("?")[0]
    try:
        content = await connections.url_identity(given.url)
    except ServiceError as error:
        answer = f"it answers {error.status}" if error.status else "nothing answers there"
        raise RecipeError(
            "input-unreachable", f"training input {shown}: {answer}", "correct the URL, or put the data there"
        ) from error
    return Identified(f"url:{shown}:{content}", f"url {shown} ({content})")
