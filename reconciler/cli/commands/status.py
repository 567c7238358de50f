"""``reconcile status`` and ``reconcile history``: what the state store has. They connect to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import options
from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.options import DEFAULT_STORE, Listing
from reconciler.plan.text import printable, proof_in_words

if TYPE_CHECKING:
    from reconciler.store import Event, Operation, Store, TargetRecord, VersionRecord


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this target, model or version (MODEL@VERSION).")
    ] = None,
    store: options.StoreUrl = DEFAULT_STORE,
    output: options.AsListing = Listing.TEXT,
) -> ExitCode:
    """Show targets, versions and running jobs from the state store.

    Includes why targets are held or failed, and the metrics of versions. Connects to nothing: for the live state, use
    `reconcile --dry-run`.
    """
    with _open(store) as opened:
        targets = [record for record in opened.targets() if name in (None, record.name)]
        versions = [
            record for record in opened.versions() if name in (None, f"{record.model}@{record.label}", record.model)
        ]
        running = [
            record for record in opened.operations(open_only=True) if name in (None, f"{record.model}@{record.label}")
        ]
    if name is not None and not (targets or versions or running):
        raise UserError(f"the state store has no target and no version {name}")
    if output is Listing.JSON:
        body = {
            "targets": [asdict(record) for record in targets],
            "versions": [asdict(record) for record in versions],
            "operations": [asdict(record) for record in running],
        }
        print(_json(body))
        return ExitCode.OK
    print("\n".join(_status_lines(targets, versions, running)))
    return ExitCode.OK


def history(
    subject: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this target or version (MODEL@VERSION).")
    ] = None,
    store: options.StoreUrl = DEFAULT_STORE,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show the newest N entries.")] = 50,
    output: options.AsListing = Listing.TEXT,
) -> ExitCode:
    """Show past changes from the state store, newest first.

    Connects to nothing.
    """
    with _open(store) as opened:
        events = list(opened.events(subject, limit=limit))
    if output is Listing.JSON:
        print(_json([asdict(event) for event in events]))
    elif events:
        print("\n".join(_event_line(event) for event in events))
    else:
        print("no history yet" if subject is None else f"no history of {subject}")
    return ExitCode.OK


def _open(url: str) -> Store:
    from reconciler.store import Store

    return Store.open(url, clock=lambda: datetime.now(UTC), read_only=True)


def _status_lines(
    targets: list[TargetRecord], versions: list[VersionRecord], running: list[Operation]
) -> Iterable[str]:
    if not (targets or versions or running):
        yield "The state store is empty: nothing was applied yet. `reconcile --dry-run` shows what would change."
        return
    yield "Targets (last recorded state; `reconcile --dry-run` checks the live state)"
    for target in targets:
        at = "never converged"
        if target.converged_at is not None:
            served = ", ".join(f"{model.model}@{model.label}" for model in target.models) or "its settings"
            at = f"{served}, {proof_in_words(target.proof)}, since {_moment(target.converged_at)}"
        yield f"  {target.name}  {target.last_outcome}  {at}"
        if target.last_outcome != "converged":
            yield f"      {_moment(target.last_at)}: {printable(target.last_message)}"
        if target.last_outcome == "failed":
            yield from _failures(target)
    if versions:
        yield "Versions"
    for version in versions:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())
        took = f" in {version.trained_seconds:.1f} s" if version.trained_seconds is not None else ""
        name = f"{version.model}@{version.label}"
        state = "trained" if version.state == "usable" and version.attempt else version.state
        yield f"  {name}  {state}{took}  {version.fingerprint[:12]}  {metrics}".rstrip()
        if version.message:
            yield f"      {printable(version.message)}"
        yield from _failures(version)
    if running:
        yield "Running jobs"
    for operation in running:
        yield (
            f"  {operation.model}@{operation.label}  attempt {operation.attempt}  {operation.phase}"
            f"  job {operation.job_id or 'not registered'}  since {_moment(operation.created_at)}"
        )


def _failures(record: TargetRecord | VersionRecord) -> Iterable[str]:
    """Yield how often something failed in a row; nothing if the failures were not counted."""
    if record.failures and record.next_attempt_at is not None:
        often = "failed once" if record.failures == 1 else f"failed {record.failures} times in a row"
        yield f"      {often}, next attempt after {_moment(record.next_attempt_at)}"


_EVENTS = {
    ("converge", "converged"): "converged",
    ("converge", "held"): "held",
    ("converge", "failed"): "failed",
    ("delete", "deleted"): "deleted",
    ("adopt", "usable"): "artifact adopted",
    ("train", "begun"): "training started",
    ("train", "usable"): "trained",
    ("train", "failed"): "training failed",
    ("train", "cancelled"): "training cancelled",
    ("train", "abandoned"): "training abandoned",
}
"""What an event's action and outcome are called."""


def _event_line(event: Event) -> str:
    what = _EVENTS.get((event.action, event.outcome), f"{event.action} {event.outcome}")
    text = f"{_moment(event.at)}  {event.subject}  {what}"
    return f"{text}: {printable(event.message)}" if event.message else text


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _json(value: object) -> str:
    def as_text(item: object) -> str:
        return item.isoformat() if isinstance(item, datetime) else str(item)

    return json.dumps(value, indent=2, default=as_text)
