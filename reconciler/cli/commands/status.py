"""``reconcile status`` and ``reconcile history``: what the store knows. They read, and ask nobody."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.options import Listing
from reconciler.plan.text import printable
from reconciler.store import Event, Operation, Store, TargetRecord, VersionRecord


def show_status(url: str, name: str | None, output: Listing) -> ExitCode:
    """Print the targets, versions and jobs in flight, or those of one name."""
    with _open(url) as store:
        targets = [record for record in store.targets() if name in (None, record.name)]
        versions = [
            record for record in store.versions() if name in (None, f"{record.model}@{record.label}", record.model)
        ]
        running = [
            record for record in store.operations(open_only=True) if name in (None, f"{record.model}@{record.label}")
        ]
    if name is not None and not (targets or versions or running):
        raise UserError(f"the store knows no target and no version {name}")
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


def show_history(url: str, subject: str | None, limit: int, output: Listing) -> ExitCode:
    """Print the newest events."""
    with _open(url) as store:
        events = list(store.events(subject, limit=limit))
    if output is Listing.JSON:
        print(_json([asdict(event) for event in events]))
    elif events:
        print("\n".join(_event_line(event) for event in events))
    else:
        print("nothing was done yet" if subject is None else f"nothing is known of {subject}")
    return ExitCode.OK


def _open(url: str) -> Store:
    return Store.open(url, clock=lambda: datetime.now(UTC), read_only=True)


def _status_lines(
    targets: list[TargetRecord], versions: list[VersionRecord], running: list[Operation]
) -> Iterable[str]:
    if not (targets or versions or running):
        yield "nothing was converged yet: `reconcile --dry-run` shows what would be"
        return
    yield "Targets (as they were left; `reconcile --dry-run` asks how they are)"
    for target in targets:
        at = "never converged"
        if target.converged_at is not None:
            served = ", ".join(f"{model.model}@{model.label}" for model in target.models) or "its settings"
            at = f"{served}, {target.proof}, since {_moment(target.converged_at)}"
        yield f"  {target.name}  {target.last_outcome}  {at}"
        if target.last_outcome != "converged":
            yield f"      {_moment(target.last_at)}: {printable(target.last_message)}"
    if versions:
        yield "Versions"
    for version in versions:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())
        took = f" in {version.trained_seconds:.1f} s" if version.trained_seconds is not None else ""
        name = f"{version.model}@{version.label}"
        yield f"  {name}  {version.state}{took}  {version.fingerprint[:12]}  {metrics}".rstrip()
        if version.message:
            yield f"      {printable(version.message)}"
    if running:
        yield "In flight"
    for operation in running:
        yield (
            f"  {operation.model}@{operation.label}  attempt {operation.attempt}  {operation.phase}"
            f"  job {operation.job_id or 'not registered'}  since {_moment(operation.created_at)}"
        )


def _event_line(event: Event) -> str:
    text = f"{_moment(event.at)}  {event.subject}  {event.action} {event.outcome}"
    return f"{text}: {printable(event.message)}" if event.message else text


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _json(value: object) -> str:
    def as_text(item: object) -> str:
        return item.isoformat() if isinstance(item, datetime) else str(item)

    return json.dumps(value, indent=2, default=as_text)
