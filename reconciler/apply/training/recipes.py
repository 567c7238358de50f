"""Which versions the fleet wants, and what each is made of.

A version's recipe is what its training reads: the content of the data, the parameters, the training service, the
outputs. Its fingerprint names the artifact's path, so equal recipes meet at one blob and different ones never do. The
pool is no part of it: it changes where a job runs, and not what comes of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.apply.training.errors import RecipeError
from reconciler.apply.training.inputs import TrainingData, identify_data
from reconciler.apply.training.recipe_check import recipe_problem
from reconciler.apply.training.service import NoTrainingService, find_training_service, shown_service
from reconciler.azure.errors import StudioError
from reconciler.azure.storage.blobs import Blobs
from reconciler.plan.states import DesiredVersion, KnownVersion, Location, Problem, VersionKey, VersionState
from reconciler.spec.documents import ClassicTraining, Model, NewTraining, ReadyVersion, Training
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.arm.permissions import refusal

if TYPE_CHECKING:
    from reconciler.targets.clients import Clients

_AT_ONCE = 16
_OWN_ARTEFACT = r"(?P<fingerprint>[0-9a-f]{64})(\.[0-9]+)?\.ilearner\Z"


async def desired_versions(
    wanted: frozenset[VersionKey], clients: Clients, known: Mapping[VersionKey, KnownVersion]
) -> tuple[DesiredVersion, ...]:
    """Every wanted version with its fingerprint and the place of its artifact. Reads, and changes nothing.

    A version whose recipe cannot be read comes with its `problem` instead of raising.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(key: VersionKey) -> DesiredVersion:
        async with gate:
            return await _desired_version(key, clients, known.get(key))

    return tuple(await asyncio.gather(*(one(key) for key in sorted(wanted))))


async def _desired_version(key: VersionKey, clients: Clients, known: KnownVersion | None) -> DesiredVersion:
    model = clients.fleet.models[key.model]
    ready = model.spec.versions.get(key.label)
    if ready is not None:
        return _ready_made(key, model, ready)
    training = model.spec.training
    if training is None:
        problem = Problem(
            "no-recipe",
            f"Model {key.model} has neither a training nor a ready-made version {key.label}",
            f"Add versions.{key.label} or a training to the model",
        )
        return DesiredVersion(key, None, None, gates=model.spec.gates, problem=problem)
    return await _trained(key, model, training, clients, known)


def _ready_made(key: VersionKey, model: Model, ready: ReadyVersion) -> DesiredVersion:
    location = Location(ready.location.base_location, ready.location.relative_location)
    return DesiredVersion(key, ready_fingerprint(key, location), location, ready_made=True, gates=model.spec.gates)


def ready_fingerprint(key: VersionKey, location: Location) -> str:
    """Return what identifies a ready-made version: its place, or the recipe that the place is named after.

    A trained artifact lies at a path made of its recipe's fingerprint (`artifact_path`). So a version that is declared
    as ready-made afterwards stays the same version: targets with its marker are in sync, and a store that has it
    agrees.
    """
    own = re.search(rf"/{re.escape(key.model)}/{re.escape(key.label)}/{_OWN_ARTEFACT}", location.relative)
    return own["fingerprint"] if own is not None else hashlib.sha256(location.uri.encode()).hexdigest()


async def _trained(
    key: VersionKey, model: Model, training: Training, clients: Clients, known: KnownVersion | None
) -> DesiredVersion:
    wanted = DesiredVersion(key, None, None, gates=model.spec.gates, training=shown_service(training))
    try:
        blobs = await clients.blobs(model.spec.workspace)
        data = await identify_data(key, model, clients)
        fingerprint = recipe_fingerprint(key, model, training, clients, data)
    except RecipeError as error:
        if known is None or known.state is not VersionState.TRAINING:
            return replace(wanted, problem=error.problem)
        # Its job runs already, and needs its inputs no more: it is seen through by the recipe that it was begun with.
        data, fingerprint = TrainingData(), known.fingerprint
    except (MissingSecret, StudioError) as error:
        return replace(wanted, problem=Problem("recipe-unreadable", f"Workspace {model.spec.workspace}: {error}"))
    if known is None or known.state is VersionState.FAILED:
        problem, remark = await _training_problem(model, training, clients, data)
        if problem is not None:
            return replace(wanted, fingerprint=fingerprint, problem=problem)
        wanted = replace(wanted, training="; ".join(filter(None, (wanted.training, remark))))
    container = clients.fleet.workspaces[model.spec.workspace].spec.storage.container
    location = Location(blobs.base, artifact_path(container, key, fingerprint, next_attempt(known)))
    if known is not None and known.state is VersionState.USABLE and known.location is not None:
        location = known.location
        if not blobs.holds(location.base):
            return replace(wanted, fingerprint=fingerprint, location=location, problem=_elsewhere(key, location, blobs))
    return replace(
        wanted,
        fingerprint=fingerprint,
        location=location,
        inputs=data.texts(),
    )


async def _training_problem(
    model: Model, training: Training, clients: Clients, data: TrainingData
) -> tuple[Problem | None, str]:
    """Return what stands in the way of training by the service that is named, and what could not be checked."""
    try:
        service = await find_training_service(clients, model, training)
    except NoTrainingService as error:
        return error.problem, ""
    except (MissingSecret, StudioError) as error:
        where = f"workspace {model.spec.workspace}" if training.new is None else shown_service(training)
        problem = refusal(error, where) or Problem("training-unreadable", f"{where}: {error}")
        return problem, ""
    if service.signature is None:
        return None, service.unread
    return recipe_problem(training, shown_service(training), service.signature, data.columns()), ""


def _elsewhere(key: VersionKey, location: Location, blobs: Blobs) -> Problem:
    """Return the problem of an artifact in another account: a store of one cloud must never steer another."""
    return Problem(
        "artefact-elsewhere",
        f"The state store has {key} at {location.uri}, but the workspace's storage is {blobs.base}",
        "Use the state store of this cloud (--store), or an empty one",
    )


def recipe_fingerprint(key: VersionKey, model: Model, training: Training, clients: Clients, data: TrainingData) -> str:
    """64 hex digits that differ where anything of the recipe does."""
    recipe = {
        "workspace": clients.fleet.workspaces[model.spec.workspace].spec.id,
        **_service_identity(training),
        "inputs": {name: found.identity for name, found in data.inputs.items()},
        "parameters": dict(training.resolve(key.label).parameters),
        "outputs": training.outputs.model_dump(mode="json"),
    }
    if data.parameters:
        recipe["parameterData"] = {name: found.identity for name, found in data.parameters.items()}
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _service_identity(training: Training) -> dict[str, str]:
    match training.service:
        case ClassicTraining(web_service=name, endpoint=endpoint):
            return {"webService": name, "endpoint": endpoint}
        case NewTraining(resource_id=resource_id):
            return {"resourceId": resource_id.lower()}


def next_attempt(known: KnownVersion | None) -> int:
    """Return the number of the attempt that a training would be now."""
    if known is None:
        return 1
    return known.attempt + 1 if known.state is VersionState.FAILED else known.attempt


def artifact_path(container: str, key: VersionKey, fingerprint: str, attempt: int) -> str:
    """Where an attempt's ``.ilearner`` goes: ``<container>/<model>/<label>/<fingerprint>.ilearner``.

    A later attempt has its number in the name, so that nothing is ever written twice.
    """
    suffix = "" if attempt == 1 else f".{attempt}"
    return f"{container}/{key.model}/{key.label}/{fingerprint}{suffix}.ilearner"
