"""From a missing version to a usable one, through one batch job.

The order of the writes is what makes it safe to be killed between any two lines (classic-protocol 6):

1. *intent* is stored, then the inputs are uploaded under the hash of their content.
2. The job is registered. It does not run yet and costs nothing, so a lost reply is answered by registering again.
3. Its id is stored (*registered*), and only then it is started. A lost reply to the start is answered by looking.
4. *started* is stored with the deadline, and the job is looked at from time to time until it ended.
5. One transaction records the version as usable with its metrics and closes the operation.

Nobody waits for a job: each step takes the version's lease, does what can be done now, and says when to look again. A
later step, of this run or another one, finds the operation at whichever phase it stands and goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.apply.ledger import known_version, next_attempt
from reconciler.apply.progress import ProgressState
from reconciler.apply.report import LookAgain
from reconciler.apply.run import Run, leased
from reconciler.apply.training.artifacts import adopt_artifact, find_place, read_metrics
from reconciler.apply.training.errors import RecipeError, TrainingFailed
from reconciler.apply.training.inputs import SIGNED_FOR, remote_texts
from reconciler.apply.training.job_request import job_request
from reconciler.apply.training.job_watch import JobLost, JobOverdue, Watch, look, look_again
from reconciler.apply.training.recipes import artifact_path
from reconciler.apply.training.service import NoTrainingService, TrainingJobs, find_training_service
from reconciler.azure.errors import (
    LostReply,
    NotFound,
    ServiceError,
    ServiceUnavailable,
    StudioError,
    Throttled,
    redact,
)
from reconciler.azure.execution.batch import BatchRequest, JobState, JobStatus
from reconciler.azure.execution.job_errors import advice, can_help
from reconciler.plan.states import DesiredVersion, KnownVersion, VersionKey
from reconciler.spec.documents import Model, Training
from reconciler.spec.documents.rules import in_units
from reconciler.spec.secrets import MissingSecret
from reconciler.store import Lease, Operation, Outcome, Transaction, VersionRecord, VersionState

__all__ = ["TrainingFailed", "advance", "usable_as_planned"]

_REGISTRATIONS = 3
_LOST_TRIES = 2


async def advance(run: Run, desired: DesiredVersion, watch: Watch) -> KnownVersion | LookAgain:
    """Do what can be done now for a version: begin its training, take up the one in flight, or record how it ended.

    Args:
        run: The run.
        desired: The version.
        watch: What earlier looks have shown; the same for all steps of a run.

    Returns:
        The version, when it is usable; else when the next step is due.

    Raises:
        TrainingFailed: it cannot be had; the store says so too.
        LeaseHeld: another run works on this version right now.
        LeaseLost: another run acquired its lease meanwhile.
    """
    key = desired.key
    async with leased(run, f"version:{key}") as lease:
        record = await run.store.version(key.model, key.label)
        if record is not None and record.state == "usable":
            return usable_as_planned(known_version(record), desired)
        if desired.ready_made:
            return await _record_ready_made(run, lease, desired)
        trainer = _Trainer(run, lease, desired, watch)
        try:
            return await _step(trainer)
        except TrainingFailed as error:
            await trainer.count_failure(str(error))
            raise


async def _step(trainer: _Trainer) -> KnownVersion | LookAgain:
    try:
        return await trainer.step()
    except StudioError as error:
        raise TrainingFailed(_advised(error), can_help(error)) from error
    except (MissingSecret, NoTrainingService, RecipeError, OSError) as error:
        raise TrainingFailed(str(error), again=False) from error


def usable_as_planned(known: KnownVersion, desired: DesiredVersion) -> KnownVersion:
    """Return the usable version, if it was made by the recipe that the plan is about.

    Raises:
        TrainingFailed: another run made the label usable meanwhile, by another recipe.
    """
    if desired.fingerprint not in (None, known.fingerprint):
        raise TrainingFailed(
            f"version {desired.key} was trained from recipe {known.fingerprint[:12]}, but the plan has recipe "
            f"{(desired.fingerprint or '')[:12]}; plan again"
        )
    return known


async def _record_ready_made(run: Run, lease: Lease, desired: DesiredVersion) -> KnownVersion:
    if desired.location is None or desired.fingerprint is None:
        raise TrainingFailed(f"ready-made version {desired.key} has no location")
    record = VersionRecord(
        model=desired.key.model,
        label=desired.key.label,
        fingerprint=desired.fingerprint,
        state="usable",
        base_location=desired.location.base,
        relative_location=desired.location.relative,
        updated_at=run.clock(),
    )
    await run.store.write(lease, lambda transaction: transaction.put_version(record))
    return known_version(record)


class _Trainer:
    """One step of a version's training, under its lease."""

    def __init__(self, run: Run, lease: Lease, desired: DesiredVersion, watch: Watch) -> None:
        self._run = run
        self._watch = watch
        self._lease = lease
        self._desired = desired
        self._key: VersionKey = desired.key
        self._model: Model = run.clients.fleet.models[desired.key.model]
        training = self._model.spec.training
        if training is None or desired.fingerprint is None:
            raise TrainingFailed(f"version {desired.key} has no recipe")
        self._training: Training = training
        self._fingerprint: str = desired.fingerprint
        self._workspace = self._model.spec.workspace
        self._jobs: TrainingJobs | None = None

    async def step(self) -> KnownVersion | LookAgain:
        """Go on from wherever the operation stands."""
        operation = await self._run.store.open_operation(self._key.model, self._key.label)
        if operation is not None and (reason := self._why_give_way(operation)) is not None:
            await self._give_way(operation, reason)
            operation = None
        if operation is None:
            place = await find_place(self._run, self._desired, await self._next_attempt())
            if place.metrics is not None:
                self._report(ProgressState.DONE, f"adopted: its artifact exists at {place.location.uri}")
                return known_version(await adopt_artifact(self._run, self._lease, self._desired, place))
            await self._training_jobs()  # A service that is not there must not leave an intent behind.
            operation = await self._begin(place.attempt)
        try:
            return await self._go_on(operation)
        except JobLost as lost:
            await self._close(operation, "abandoned", f"the service no longer knows job {lost.job_id}")
            self._watch.unknown = 0
            self._watch.lost += 1
            if self._watch.lost == _LOST_TRIES:
                raise TrainingFailed(f"the service lost job {lost.job_id} of {self._key}") from lost
            return LookAgain(self._run.clock())

    async def count_failure(self, message: str) -> None:
        """Record that the version failed once more in a row, and when it is due again."""
        record = await self._run.store.version(self._key.model, self._key.label)
        if record is None or record.fingerprint != self._fingerprint:
            if record is not None and record.state == "training":
                return  # It is another recipe's, and may still give the version.
            # Nothing was begun by this recipe. An attempt is counted from there on.
            record = await self._version("failed", 0 if record is None else record.attempt)
        failures = record.failures + 1
        # A training that ended has said itself why.
        ended = record.state == "failed" and record.attempt > 0 and record.message
        counted = replace(
            record,
            failures=failures,
            next_attempt_at=next_attempt(self._run, failures),
            message=record.message if ended else message,
        )
        await self._run.store.write(self._lease, lambda transaction: transaction.put_version(counted))

    def _why_give_way(self, operation: Operation) -> str | None:
        """Why an attempt that is open cannot be seen through.

        Raises:
            TrainingFailed: it is by another recipe, and was started, so what it makes is this version.
        """
        if operation.fingerprint != self._fingerprint:
            if operation.phase == "started":
                raise TrainingFailed(
                    f"version {self._key} is in training with another recipe ({operation.fingerprint[:12]}). "
                    "Restore that recipe until the training has ended, or use a new version label"
                )
            return "the recipe changed before the job was started"
        signed = bool(self._training.resolve(self._key.label).parameter_data)
        if operation.phase == "registered" and signed and self._run.clock() - operation.created_at > SIGNED_FOR:
            return "the job was not started in time: the signatures in its parameters expire too soon"
        return None

    async def _give_way(self, operation: Operation, reason: str) -> None:
        """End an attempt that was not started yet."""
        if operation.job_id is not None:
            # Its start may have been sent by a run that was killed before it could say so.
            await (await self._training_jobs()).cancel(operation.job_id)
        await self._close(operation, "abandoned", reason)

    async def _go_on(self, operation: Operation) -> KnownVersion | LookAgain:
        jobs = await self._training_jobs()
        if operation.phase != "intent" and not self._watch.taken_up:
            self._report(ProgressState.STARTED, f"resuming job {operation.job_id}, attempt {operation.attempt}")
        self._watch.taken_up = True
        if operation.phase == "intent":
            operation = await self._register(jobs, operation)
        if operation.phase == "registered":
            return look_again(self._run, await self._start(jobs, operation))
        try:
            status = await look(self._run, jobs, operation, self._watch)
        except JobOverdue as error:
            message = f"job {operation.job_id} did not end within {in_units(self._training.timeout)} and was cancelled"
            raise await self._failed(
                operation, "cancelled", f"{message}. Raise training.timeout if the job needs longer", again=None
            ) from error
        if isinstance(status, LookAgain):
            return status
        if status.state is JobState.FINISHED:
            return await self._record(operation, status)
        reason = redact(status.details) or "the service reports no reason"
        outcome: Outcome = "cancelled" if status.state is JobState.CANCELLED else "failed"
        again = can_help(status.details)
        raise await self._failed(
            operation, outcome, f"job {operation.job_id} {outcome}: {reason}; {advice(again)}", again
        )

    # -- the phases

    async def _next_attempt(self) -> int:
        record = await self._run.store.version(self._key.model, self._key.label)
        earlier = await self._run.store.last_attempt(self._key.model, self._key.label)
        return max(earlier, record.attempt if record is not None and record.state == "failed" else 0) + 1

    async def _begin(self, attempt: int) -> Operation:
        container = self._run.clients.fleet.workspaces[self._workspace].spec.storage.container
        operation = Operation(
            model=self._key.model,
            label=self._key.label,
            fingerprint=self._fingerprint,
            attempt=attempt,
            phase="intent",
            output_relative=artifact_path(container, self._key, self._fingerprint, attempt),
            created_at=self._run.clock(),
        )
        version = await self._version("training", attempt)

        def write(transaction: Transaction) -> Operation:
            transaction.put_version(version)
            written = transaction.put_operation(operation)
            self._event(transaction, "begun", f"attempt {attempt} by {self._desired.training}")
            return written

        operation = await self._run.store.write(self._lease, write)
        self._report(ProgressState.STARTED, f"training started, attempt {attempt}")
        return operation

    async def _training_jobs(self) -> TrainingJobs:
        if self._jobs is None:
            clients = self._run.clients
            service = await find_training_service(clients, self._model, self._training)
            self._jobs = TrainingJobs(clients, self._model, self._training, service)
        return self._jobs

    async def _register(self, jobs: TrainingJobs, operation: Operation) -> Operation:
        try:
            request = await job_request(
                self._run,
                self._key,
                self._model,
                self._training,
                fingerprint=self._fingerprint,
                artifact=operation.output_relative or "",
            )
            job_id = await self._job_id_of(jobs, request)
        except (TrainingFailed, StudioError) as error:
            if _is_final(error):
                # Nothing runs, and nothing will by this recipe: the attempt is over, so that the spec can be corrected.
                await self._close(operation, "failed", f"no job was registered: {_advised(error)}")
            raise
        registered = replace(operation, phase="registered", job_id=job_id, jobs_url=jobs.url)
        return await self._run.store.write(self._lease, lambda transaction: transaction.put_operation(registered))

    async def _job_id_of(self, jobs: TrainingJobs, request: BatchRequest) -> str:
        for _ in range(_REGISTRATIONS - 1):
            try:
                return await jobs.register(request)
            except LostReply:
                continue  # If it was registered it never starts and costs nothing, so registering again is safe.
        return await jobs.register(request)

    async def _start(self, jobs: TrainingJobs, operation: Operation) -> Operation:
        job_id = operation.job_id or ""
        try:
            await jobs.start(job_id)
        except NotFound as error:
            raise JobLost(job_id) from error
        except (LostReply, ServiceUnavailable, Throttled) as error:
            # It may have been started or not; from here on it counts as started, and the next look starts it if not.
            self._report(
                ProgressState.WAITING, f"the reply to the start of the job was lost, checking the job: {error}"
            )
        now = self._run.clock()
        started = replace(operation, phase="started", started_at=now, deadline=now + self._training.timeout)
        return await self._run.store.write(self._lease, lambda transaction: transaction.put_operation(started))

    async def _record(self, operation: Operation, status: JobStatus) -> KnownVersion:
        blobs = await self._run.clients.blobs(self._workspace)
        output = operation.output_relative or ""
        container, _, name = output.partition("/")
        properties = await blobs.properties(container, name)
        if properties is None or properties.length == 0:
            what = "is missing" if properties is None else "is empty"
            raise await self._failed(
                operation, "failed", f"job {operation.job_id} finished, but its model {output} {what}"
            )
        if changed := await self._changed_under_the_job():
            message = f"{changed} changed while job {operation.job_id} ran, so what the job read is unknown; plan again"
            raise await self._failed(operation, "failed", message, again=True)
        metrics = await self._metrics(status)
        now = self._run.clock()
        usable = replace(
            await self._version("training", operation.attempt),
            state="usable",
            base_location=blobs.base,
            relative_location=output,
            metrics=metrics,
            failures=0,
            next_attempt_at=None,
            trained_seconds=(now - (operation.started_at or operation.created_at)).total_seconds(),
        )
        shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())

        def write(transaction: Transaction) -> None:
            transaction.put_version(usable)
            transaction.put_operation(replace(operation, phase="closed", outcome="succeeded"))
            self._event(transaction, "usable", shown or "no metrics", {"job": operation.job_id})

        await self._run.store.write(self._lease, write)
        self._report(ProgressState.DONE, f"trained: {shown}" if shown else "trained, without metrics")
        return known_version(usable)

    # -- what they need

    async def _changed_under_the_job(self) -> str:
        """Return the data that the service read itself and that have changed since."""
        record = await self._run.store.version(self._key.model, self._key.label)
        before = {} if record is None else record.recipe
        try:
            now = await remote_texts(self._key, self._model, self._run.clients)
        except (RecipeError, StudioError):
            return ""  # They may be gone by now, which the job does not mind.
        return ", ".join(text for name, text in now.items() if before.get(name, text) != text)

    async def _metrics(self, status: JobStatus) -> Mapping[str, float]:
        output = self._training.outputs.evaluation
        reference = None if output is None else status.results.get(output)
        if reference is None:
            return {}
        blobs = await self._run.clients.blobs(self._workspace)
        return read_metrics(await blobs.read_reference(reference))

    async def _version(self, state: VersionState, attempt: int) -> VersionRecord:
        earlier = await self._run.store.version(self._key.model, self._key.label)
        if earlier is not None and earlier.fingerprint != self._fingerprint:
            earlier = None
        recipe = {**self._desired.inputs, "training": self._desired.training}
        if earlier is not None and not self._desired.inputs:
            recipe = dict(earlier.recipe)  # Its inputs may be gone by now.
        return VersionRecord(
            model=self._key.model,
            label=self._key.label,
            fingerprint=self._fingerprint,
            state=state,
            attempt=attempt,
            recipe=recipe,
            updated_at=self._run.clock(),
            failures=0 if earlier is None else earlier.failures,
            next_attempt_at=None if earlier is None else earlier.next_attempt_at,
        )

    async def _close(self, operation: Operation, outcome: Outcome, message: str, again: bool | None = None) -> None:
        current = await self._run.store.open_operation(self._key.model, self._key.label) or operation
        closed = replace(current, phase="closed", outcome=outcome, message=message)
        failed = replace(await self._version("failed", operation.attempt), message=message)

        def write(transaction: Transaction) -> None:
            transaction.put_operation(closed)
            transaction.put_version(failed)
            self._event(transaction, outcome, message, None if again is None else {"tryingAgainCanHelp": again})

        await self._run.store.write(self._lease, write)

    async def _failed(
        self, operation: Operation, outcome: Outcome, message: str, again: bool | None = None
    ) -> TrainingFailed:
        """Close the attempt; gives what is to be raised."""
        await self._close(operation, outcome, message, again)
        return TrainingFailed(message, again)

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

    def _report(self, mark: ProgressState, text: str) -> None:
        self._run.report(str(self._key), mark, text)


def _advised(error: StudioError | TrainingFailed) -> str:
    return f"{error}; {advice(can_help(error))}" if isinstance(error, StudioError) else str(error)


def _is_final(error: Exception) -> bool:
    """Whether the request itself was refused, so that the same one will be refused again."""
    return isinstance(error, TrainingFailed | NotFound) or type(error) is ServiceError
