"""From a missing version to a usable one, through one batch job.

The order of the writes is what makes it safe to be killed between any two lines (classic-protocol 6):

1. *intent* is stored, then the inputs are uploaded under the hash of their content.
2. The job is registered. It does not run yet and costs nothing, so a lost reply is answered by registering again.
3. Its id is stored (*registered*), and only then it is started. A lost reply to the start is answered by looking.
4. *started* is stored with the deadline, and the job is polled until it ended.
5. One transaction records the version as usable with its metrics and closes the operation.

A later run finds the operation at whichever phase it stands and goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from urllib.parse import urlsplit

from pydantic import SecretStr

from reconciler.apply.adoption import evaluation_path, find_place, read_metrics, take_over
from reconciler.apply.ledger import known_version
from reconciler.apply.progress import Mark
from reconciler.apply.recipes import artefact_path, desired_versions, identify_inputs
from reconciler.apply.run import Run, leased
from reconciler.apply.training_service import NoTrainingService, find_training_service
from reconciler.azure.batch import BatchExecution, BatchRequest, JobState, JobStatus
from reconciler.azure.blobs import BlobReference, StoredBlob
from reconciler.azure.errors import (
    CloudError,
    LostReply,
    NotFound,
    Retired,
    ServiceError,
    ServiceUnavailable,
    SignInError,
    Throttled,
    redact,
)
from reconciler.plan.states import DesiredVersion, KnownVersion, VersionKey
from reconciler.spec.documents import BlobInput, FileInput, Model, Training, UrlInput
from reconciler.spec.secrets import MissingSecret
from reconciler.store import Lease, Operation, Outcome, Transaction, VersionRecord, VersionState

_REGISTRATIONS = 3
_LONGEST_PAUSE = 30.0
_ABANDONED_TRIES = 2
_UNKNOWN_FOR_GOOD = 3
"""A single 404 may come from a gateway; giving the job up costs a second training."""


class TrainingFailed(Exception):
    """A version could not be made usable. The message holds the service's own words, and no secret."""


class _Abandoned(Exception):
    """The service does not know the job any more; a new attempt is needed."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


async def ensure_usable(run: Run, desired: DesiredVersion) -> KnownVersion:
    """Train the version, or take up the training that is in flight, or find that it is usable by now.

    Raises:
        TrainingFailed: it can't be had; the store says so too.
        LeaseHeld: another run works on this version.
        LeaseLost: another run took it over.
    """
    key = desired.key
    async with leased(run, f"version:{key}") as lease:
        record = run.store.version(key.model, key.label)
        if record is not None and record.state == "usable":
            return usable_as_planned(known_version(record), desired)
        if desired.ready_made:
            return _record_ready_made(run, lease, desired)
        try:
            return await _Trainer(run, lease, desired).train()
        except (ServiceError, MissingSecret, CloudError, NoTrainingService) as error:
            raise TrainingFailed(str(error)) from error


def usable_as_planned(known: KnownVersion, desired: DesiredVersion) -> KnownVersion:
    """The usable version, if it was made by the recipe that the plan is about.

    Raises:
        TrainingFailed: another run made the label usable meanwhile, by another recipe.
    """
    if desired.fingerprint not in (None, known.fingerprint):
        raise TrainingFailed(
            f"{desired.key} was made by recipe {known.fingerprint[:12]}, but the plan is about "
            f"{(desired.fingerprint or '')[:12]}; plan again"
        )
    return known


def _record_ready_made(run: Run, lease: Lease, desired: DesiredVersion) -> KnownVersion:
    if desired.location is None or desired.fingerprint is None:
        raise TrainingFailed(f"{desired.key} is ready-made, but has no location")
    record = VersionRecord(
        model=desired.key.model,
        label=desired.key.label,
        fingerprint=desired.fingerprint,
        state="usable",
        base_location=desired.location.base,
        relative_location=desired.location.relative,
        updated_at=run.clock(),
    )
    with run.store.fenced(lease) as transaction:
        transaction.put_version(record)
    return known_version(record)


class _Trainer:
    """One version's training under its lease."""

    def __init__(self, run: Run, lease: Lease, desired: DesiredVersion) -> None:
        self._run = run
        self._lease = lease
        self._desired = desired
        self._key: VersionKey = desired.key
        self._model: Model = run.connections.fleet.models[desired.key.model]
        training = self._model.spec.training
        if training is None or desired.fingerprint is None:
            raise TrainingFailed(f"{desired.key} has no recipe to train by")
        self._training: Training = training
        self._fingerprint: str = desired.fingerprint
        self._workspace = self._model.spec.workspace
        self._jobs_url = ""
        self._batch: BatchExecution | None = None

    async def train(self) -> KnownVersion:
        """Go on from wherever the operation stands."""
        for attempt in range(_ABANDONED_TRIES):
            operation = self._run.store.open_operation(self._key.model, self._key.label)
            if operation is not None and operation.fingerprint != self._fingerprint:
                await self._give_way(operation)
                operation = None
            if operation is None:
                place = await find_place(self._run, self._desired, self._next_attempt())
                if place.metrics is not None:
                    self._note(Mark.DONE, f"taken over: its artefact lies at {place.location.uri}")
                    return known_version(take_over(self._run, self._lease, self._desired, place))
                await self._batch_service()  # A service that is not there must not leave an intent behind.
                operation = self._begin(place.attempt)
            try:
                return await self._see_through(operation)
            except _Abandoned as lost:
                self._close(operation, "abandoned", f"the service does not know job {lost.job_id} any more")
                if attempt + 1 == _ABANDONED_TRIES:
                    raise TrainingFailed(f"the service lost job {lost.job_id} of {self._key}") from lost
        raise AssertionError("unreachable: the loop returns or raises")

    async def _give_way(self, operation: Operation) -> None:
        """End an attempt by another recipe that was not started yet; one that was keeps its label.

        Raises:
            TrainingFailed: it was started, so what it makes is this version.
        """
        if operation.phase == "started":
            raise TrainingFailed(
                f"a training of {self._key} with another recipe ({operation.fingerprint[:12]}) is in flight; "
                "restore its inputs until it has ended, or use a new label"
            )
        if operation.job_id is not None:
            # Its start may have been sent by a run that was killed before it could say so.
            await (await self._batch_service()).cancel(operation.job_id)
        self._close(operation, "abandoned", "its recipe changed before it was started")

    async def _see_through(self, operation: Operation) -> KnownVersion:
        batch = await self._batch_service()
        if operation.phase == "intent":
            operation = await self._register(batch, operation)
        else:
            self._note(Mark.STARTED, f"taking up job {operation.job_id}, attempt {operation.attempt}")
        if operation.phase == "registered":
            operation = await self._start(batch, operation)
        status = await self._wait(batch, operation)
        if status.state is JobState.FINISHED:
            return await self._record(operation, status)
        reason = redact(status.details) or "the service gives no reason"
        outcome: Outcome = "cancelled" if status.state is JobState.CANCELLED else "failed"
        self._close(operation, outcome, f"job {operation.job_id} {outcome}: {reason}")
        raise TrainingFailed(f"job {operation.job_id} {outcome}: {reason}")

    # -- the phases

    def _next_attempt(self) -> int:
        record = self._run.store.version(self._key.model, self._key.label)
        earlier = [
            operation.attempt
            for operation in self._run.store.operations()
            if (operation.model, operation.label) == (self._key.model, self._key.label)
        ]
        return max([0, *earlier, record.attempt if record is not None and record.state == "failed" else 0]) + 1

    def _begin(self, attempt: int) -> Operation:
        container = self._run.connections.fleet.workspaces[self._workspace].spec.storage.container
        operation = Operation(
            model=self._key.model,
            label=self._key.label,
            fingerprint=self._fingerprint,
            attempt=attempt,
            phase="intent",
            output_relative=artefact_path(container, self._key, self._fingerprint, attempt),
            created_at=self._run.clock(),
        )
        with self._run.store.fenced(self._lease) as transaction:
            transaction.put_version(self._version("training", attempt))
            operation = transaction.put_operation(operation)
            self._event(transaction, "begun", f"attempt {attempt} with {self._desired.training}")
        self._note(Mark.STARTED, f"training, attempt {attempt}")
        return operation

    async def _batch_service(self) -> BatchExecution:
        if self._batch is None:
            found = await find_training_service(self._run.connections, self._workspace, self._training.classic)
            self._jobs_url = f"{found[0].rstrip('/')}/jobs"
            self._batch = self._run.connections.batch(*found)
        return self._batch

    async def _register(self, batch: BatchExecution, operation: Operation) -> Operation:
        try:
            job_id = await self._job_id_of(batch, await self._request(operation))
        except (TrainingFailed, ServiceError) as error:
            if _is_final(error):
                # Nothing runs, and nothing will by this recipe: the attempt is over, so that the spec can be corrected.
                self._close(operation, "failed", f"no job was registered: {error}")
            raise
        registered = replace(operation, phase="registered", job_id=job_id, jobs_url=self._jobs_url)
        with self._run.store.fenced(self._lease) as transaction:
            return transaction.put_operation(registered)

    async def _job_id_of(self, batch: BatchExecution, request: BatchRequest) -> str:
        for _ in range(_REGISTRATIONS - 1):
            try:
                return await batch.register(request)
            except LostReply:
                continue  # If it was registered it never starts and costs nothing, so registering again is safe.
        return await batch.register(request)

    async def _start(self, batch: BatchExecution, operation: Operation) -> Operation:
        try:
            await batch.start(_job_id(operation))
        except NotFound as error:
            raise _Abandoned(_job_id(operation)) from error
        except (LostReply, ServiceUnavailable, Throttled) as error:
            # It may have been started or not; from here on it counts as started, and waiting for it starts it if not.
            self._note(Mark.WAITING, f"whether the job was started can't be seen now: {error}")
        now = self._run.clock()
        started = replace(operation, phase="started", started_at=now, deadline=now + self._training.timeout)
        with self._run.store.fenced(self._lease) as transaction:
            return transaction.put_operation(started)

    async def _wait(self, batch: BatchExecution, operation: Operation) -> JobStatus:
        job_id = _job_id(operation)
        pause = self._run.connections.cloud.poll.total_seconds()
        unknown = 0
        while True:
            try:
                status = await batch.status(job_id)
                unknown = 0
                self._note(Mark.WAITING, f"job {job_id[:8]} {_words(status.state)}")
                if status.state.ended:
                    return status
                if status.state is JobState.NOT_STARTED:
                    # The start was lost on the service's side: nothing runs, so starting it is right.
                    await batch.start(job_id)
                if operation.deadline is not None and self._run.clock() >= operation.deadline:
                    return await self._give_up(batch, operation)
            except NotFound as error:
                unknown += 1
                if unknown == _UNKNOWN_FOR_GOOD:
                    raise _Abandoned(job_id) from error
                self._note(Mark.WAITING, f"the service does not know the job, looking again: {error}")
            except (SignInError, Retired):
                raise
            except ServiceError as error:
                if operation.deadline is not None and self._run.clock() >= operation.deadline:
                    raise  # It stays open: the next run looks again, and cancels it if it still runs.
                self._note(Mark.WAITING, f"the job can't be seen now, looking again: {error}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _give_up(self, batch: BatchExecution, operation: Operation) -> JobStatus:
        await batch.cancel(_job_id(operation))
        with contextlib.suppress(NotFound):  # A service may erase what it cancels (classic-protocol 3).
            last = await batch.status(_job_id(operation))
            if last.state is JobState.FINISHED:
                return last  # It ended between the look and the cancel: what it made is good.
        message = (
            f"job {operation.job_id} did not end within {self._training.timeout} and was cancelled; "
            "raise training.timeout if it needs longer"
        )
        self._close(operation, "cancelled", message)
        raise TrainingFailed(message)

    async def _record(self, operation: Operation, status: JobStatus) -> KnownVersion:
        blobs = await self._run.connections.blobs(self._workspace)
        output = operation.output_relative or ""
        container, _, name = output.partition("/")
        properties = await blobs.properties(container, name)
        if properties is None or properties.length == 0:
            what = "is missing" if properties is None else "is empty"
            message = f"job {operation.job_id} finished, but its model {output} {what}"
            self._close(operation, "failed", message)
            raise TrainingFailed(message)
        metrics = await self._metrics(status)
        now = self._run.clock()
        usable = replace(
            self._version("training", operation.attempt),
            state="usable",
            base_location=blobs.base,
            relative_location=output,
            metrics=metrics,
            trained_seconds=(now - (operation.started_at or operation.created_at)).total_seconds(),
        )
        shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        with self._run.store.fenced(self._lease) as transaction:
            transaction.put_version(usable)
            transaction.put_operation(replace(operation, phase="closed", outcome="succeeded"))
            self._event(transaction, "usable", shown or "no metrics", {"job": operation.job_id})
        self._note(Mark.DONE, f"trained: {shown}" if shown else "trained; it has no metrics")
        return known_version(usable)

    # -- what they need

    async def _request(self, operation: Operation) -> BatchRequest:
        connections = self._run.connections
        again = await desired_versions(frozenset({self._key}), connections, {})
        if again[0].fingerprint != self._fingerprint:
            raise TrainingFailed(f"the inputs of {self._key} changed since the plan was made; plan again")
        account = await connections.connection_string(self._workspace)
        outputs = self._training.outputs
        model = operation.output_relative or ""
        destinations = {outputs.model: StoredBlob(account, model)}
        if outputs.evaluation is not None:
            destinations[outputs.evaluation] = StoredBlob(account, evaluation_path(model))
        resolved = self._training.resolve(self._key.label)
        return BatchRequest(await self._inputs(account), destinations, resolved.parameters)

    async def _inputs(self, account: SecretStr) -> Mapping[str, StoredBlob | BlobReference]:
        connections = self._run.connections
        identified = await identify_inputs(self._key, self._model, connections)
        container = connections.fleet.workspaces[self._workspace].spec.storage.container
        inputs: dict[str, StoredBlob | BlobReference] = {}
        for name, given in self._training.resolve(self._key.label).inputs.items():
            match given:
                case FileInput():
                    path = connections.input_file(self._key.model, given)
                    digest = identified[name].identity.removeprefix("sha256:")
                    # The service tells formats by extension (classic-protocol 3).
                    blob = f"inputs/{digest}{PurePath(given.file).suffix or '.csv'}"
                    blobs = await connections.blobs(self._workspace)
                    if await blobs.upload_once(container, blob, path):
                        self._note(Mark.WAITING, f"uploaded {given.file}")
                    inputs[name] = StoredBlob(account, f"{container}/{blob}")
                case BlobInput():
                    inputs[name] = StoredBlob(account, given.blob.lstrip("/"))
                case UrlInput():
                    inputs[name] = _reference(given.url)
        return inputs

    async def _metrics(self, status: JobStatus) -> Mapping[str, float]:
        output = self._training.outputs.evaluation
        reference = None if output is None else status.results.get(output)
        if reference is None:
            return {}
        blobs = await self._run.connections.blobs(self._workspace)
        return read_metrics(await blobs.read_reference(reference))

    def _version(self, state: VersionState, attempt: int) -> VersionRecord:
        return VersionRecord(
            model=self._key.model,
            label=self._key.label,
            fingerprint=self._fingerprint,
            state=state,
            attempt=attempt,
            recipe={**self._desired.inputs, "training": self._desired.training},
            updated_at=self._run.clock(),
        )

    def _close(self, operation: Operation, outcome: Outcome, message: str) -> None:
        current = self._run.store.open_operation(self._key.model, self._key.label) or operation
        closed = replace(current, phase="closed", outcome=outcome, message=message)
        with self._run.store.fenced(self._lease) as transaction:
            transaction.put_operation(closed)
            transaction.put_version(replace(self._version("failed", operation.attempt), message=message))
            self._event(transaction, outcome, message)

    def _event(
        self,
        transaction: Transaction,
        outcome: str,
        message: str,
        details: Mapping[str, object] | None = None,
    ) -> None:
        transaction.add_event(
            run_id=self._run.run_id,
            subject=str(self._key),
            action="train",
            outcome=outcome,
            message=message,
            details=details,
        )

    def _note(self, mark: Mark, text: str) -> None:
        self._run.note(str(self._key), mark, text)


def _reference(url: str) -> BlobReference:
    parts = urlsplit(url)
    signature = SecretStr(f"?{parts.query}" if parts.query else "")
    return BlobReference(f"{parts.scheme}://{parts.netloc}/", parts.path.lstrip("/"), signature)


def _is_final(error: Exception) -> bool:
    """Whether the request itself was refused, so that the same one will be refused again."""
    return isinstance(error, TrainingFailed | NotFound) or type(error) is ServiceError


def _job_id(operation: Operation) -> str:
    return operation.job_id or ""


def _words(state: JobState) -> str:
    return {"NotStarted": "is registered", "Running": "is running"}.get(state.value, f"has {state.value.lower()}")
