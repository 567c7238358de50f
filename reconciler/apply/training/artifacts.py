"""Takes over an artifact that lies where its recipe says, instead of training it again.

The path of an artifact is made of its recipe's fingerprint, so what lies there was made by that recipe. It matters
when the store was lost: one more job would write over an artifact that targets may be pointed to, which nothing ever
may (design 5.3).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from reconciler.apply.run import Run, leased
from reconciler.apply.training.recipes import artifact_path
from reconciler.azure.errors import NotFound, StudioError
from reconciler.azure.storage.blobs import Blobs
from reconciler.plan.states import DesiredVersion, Location, VersionKey
from reconciler.spec.documents import Model
from reconciler.spec.secrets import MissingSecret
from reconciler.store import Lease, StoreError, Transaction, VersionRecord


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attempt's artifact goes.

    Attributes:
        attempt: The number of the attempt.
        location: Where its artifact is or will be.
        metrics: Those of the complete artifact that lies there; None if the place is free.
    """

    attempt: int
    location: Location
    metrics: Mapping[str, float] | None


async def find_place(run: Run, desired: DesiredVersion, attempt: int) -> Place:
    """Return the place of a version that is not in the store: taken by a complete artifact, or free.

    Args:
        run: The run.
        desired: A version that is made by training, with its fingerprint.
        attempt: The number of the first attempt that comes into question.

    Raises:
        ServiceError: storage refuses, or cannot be reached.
        MissingSecret: the account's connection string cannot be resolved.
    """
    model: Model = run.clients.fleet.models[desired.key.model]
    blobs = await run.clients.blobs(model.spec.workspace)
    container = run.clients.fleet.workspaces[model.spec.workspace].spec.storage.container
    while True:
        relative = artifact_path(container, desired.key, desired.fingerprint or "", attempt)
        location = Location(blobs.base, relative)
        _, _, name = relative.partition("/")
        found = await blobs.properties(container, name)
        if found is None:
            return Place(attempt, location, None)
        metrics = await _metrics(blobs, model, container, name)
        if found.length and metrics is not None:
            return Place(attempt, location, metrics)
        # What is there is not complete, and is not written over either.
        attempt += 1


async def _metrics(blobs: Blobs, model: Model, container: str, name: str) -> Mapping[str, float] | None:
    training = model.spec.training
    if training is None or training.outputs.evaluation is None:
        return {}
    try:
        return read_metrics(await blobs.read(container, evaluation_path(name)))
    except NotFound:
        return None


def evaluation_path(artifact: str) -> str:
    """Where the evaluation of the artifact at a path goes."""
    return artifact.removesuffix(".ilearner") + ".evaluation.csv"


async def adopt_artifact(run: Run, lease: Lease, desired: DesiredVersion, place: Place) -> VersionRecord:
    """Record the artifact at a place as the version."""
    record = VersionRecord(
        model=desired.key.model,
        label=desired.key.label,
        fingerprint=desired.fingerprint or "",
        state="usable",
        attempt=place.attempt,
        base_location=place.location.base,
        relative_location=place.location.relative,
        metrics=dict(place.metrics or {}),
        recipe={**desired.inputs, "training": desired.training},
        updated_at=run.clock(),
    )

    def write(transaction: Transaction) -> None:
        transaction.put_version(record)
        transaction.add_event(
            run_id=run.run_id,
            subject=str(desired.key),
            action="adopt",
            outcome="usable",
            message=f"an artifact of this recipe exists at {place.location.uri}",
            details={"metrics": dict(place.metrics or {})},
        )

    await run.store.write(lease, write)
    return record


async def record_artifact(run: Run, desired: DesiredVersion) -> None:
    """Record a version that targets serve and the store does not know, if its artifact is complete.

    Without it a later version could not be compared with this one. It is only a cache: errors are ignored.
    """
    key = desired.key
    if desired.ready_made or await _known(run, key):
        return
    with suppress(StudioError, MissingSecret, StoreError):
        async with leased(run, f"version:{key}") as lease:
            place = await find_place(run, desired, 1)
            if place.metrics is not None and not await _known(run, key):
                await adopt_artifact(run, lease, desired, place)


async def _known(run: Run, key: VersionKey) -> bool:
    """Whether the store knows more of a version than that it failed before any training was begun."""
    record = await run.store.version(key.model, key.label)
    return record is not None and record.attempt > 0


def read_metrics(content: bytes) -> dict[str, float]:
    """Evaluate Model's CSV, a header and a row, as metrics by name; what is not a number is left out."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace")))
    row = next(rows, None) or {}
    metrics: dict[str, float] = {}
    for name, value in row.items():
        try:
            metrics[name] = float(value)
        except (TypeError, ValueError):
            continue  # A column of text, such as the name of the positive label.
    return metrics
