"""``reconcile``, ``reconcile --dry-run`` and ``reconcile apply``: what a pass prints, and the question for approval."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.local_studio import the_cloud
from reconciler.cli.options import DEFAULT_SPECS, Format
from reconciler.cli.progress import progress_on
from reconciler.cli.summary import summary
from reconciler.plan import render
from reconciler.plan.document import Plan, TargetStatus
from reconciler.plan.saved import load_plan
from reconciler.plan.text import count
from reconciler.reconciliation import Options, Reconciliation, Report, Verdict
from reconciler.spec.diagnostics import did_you_mean, join_names
from reconciler.spec.fleet import Fleet, load_fleet
from reconciler.spec.secrets import SecretResolver
from reconciler.store import Store
from reconciler.targets import kinds

if TYPE_CHECKING:
    from reconciler.azure.clouds import Cloud

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CODES = {
    Verdict.IN_SYNC: ExitCode.OK,
    Verdict.CONVERGED: ExitCode.OK,
    Verdict.HELD: ExitCode.HELD,
    Verdict.REFUSED: ExitCode.REFUSED,
    Verdict.PARTLY: ExitCode.PARTLY,
    Verdict.FAILED: ExitCode.ERROR,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What the options of a command ask for."""

    specs: tuple[Path, ...]
    cloud: str | None
    store: str
    select: tuple[str, ...]
    forced: frozenset[str]
    probes: int
    unfolded: frozenset[str] = frozenset()

    def fleet(self) -> Fleet:
        """Return the fleet of the spec tree, cut down to what was selected."""
        fleet = load_fleet(self.specs or (DEFAULT_SPECS,), kinds.documents())
        unknown = sorted(self.unfolded - fleet.sets.keys())
        if unknown:
            known = did_you_mean(unknown[0], fleet.sets) or f"sets: {join_names(fleet.sets) or 'none'}"
            raise UserError(f"--unfold {unknown[0]}: no such set; {known}")
        return fleet.select(self.select) if self.select else fleet

    def options(self) -> Options:
        """Return the options of the pass."""
        return Options(partial=bool(self.select), forced=self.forced, probes=self.probes)


def converge(
    request: Request, *, dry_run: bool, detailed: bool, output: Format, out: Path | None, yes: bool
) -> ExitCode:
    """Make a plan, show it, ask for approval and apply it."""
    fleet = request.fleet()

    async def work(cloud: Cloud, store: Store) -> ExitCode:
        async with Reconciliation(fleet, cloud, store, _secrets(cloud), request.options()) as one:
            plan = await one.plan()
            _write(plan, out, output, request.unfolded)
            if dry_run:
                print(_rendered(plan, output, request.unfolded))
                return _dry_run_code(plan, detailed=detailed)
            return await _carry_out(one, plan, output, request.unfolded, yes=yes)

    with the_cloud(request.cloud) as cloud, _store(request.store, read_only=dry_run) as store:
        return _run(work(cloud, store))


def apply_saved(request: Request, path: Path, *, output: Format) -> ExitCode:
    """Apply a saved plan, unless it is stale."""
    try:
        plan = load_plan(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a plan file: it is not UTF-8 text") from error
    if plan.partial and not request.select:
        raise UserError(f"{path} was made with --select. Apply it with the same --select")
    fleet = request.fleet()
    request = Request(
        request.specs, request.cloud, request.store, request.select, frozenset(plan.forced), request.probes
    )

    async def work(cloud: Cloud, store: Store) -> ExitCode:
        async with Reconciliation(fleet, cloud, store, _secrets(cloud), request.options()) as one:
            with progress_on(_names(plan), _longest_retrain(plan)) as progress:
                report = await one.apply_saved(plan, progress)
            return _finish(plan, report, output)

    with the_cloud(request.cloud) as cloud, _store(request.store, read_only=False) as store:
        return _run(work(cloud, store))


async def _carry_out(
    one: Reconciliation, plan: Plan, output: Format, unfolded: frozenset[str], *, yes: bool
) -> ExitCode:
    if output is Format.TEXT:
        print(_rendered(plan, output, unfolded))
    if plan.writes and not yes:
        if output is not Format.TEXT:
            print(render.text(plan, unfolded=unfolded), file=sys.stderr)
        markers = f"{count(len(plan.adopted), 'ownership marker')} will be added"
        if not _approved("Changes are pending" if plan.pending else markers):
            print("Not approved. No changes were made.", file=sys.stderr)
            return ExitCode.HELD
    with progress_on(_names(plan), _longest_retrain(plan)) as progress:
        report = await one.apply(plan, progress)
    return _finish(plan, report, output)


def _approved(what: str) -> bool:
    if not sys.stdin.isatty():
        text = f"{what}, but no terminal is attached to ask for approval. Use --yes to apply without asking."
        raise UserError(text, ExitCode.HELD)
    print("Apply this plan? [y/N] ", end="", file=sys.stderr, flush=True)
    loop = asyncio.get_running_loop()
    # Nothing that needs an orderly end runs while the question is open, so Ctrl-C may end the program at once.
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
    try:
        answer = input()
    except EOFError:
        return False
    except KeyboardInterrupt:
        raise UserError("Cancelled. No changes were made.", ExitCode.INTERRUPTED) from None
    finally:
        _end_on_signals(loop, asyncio.current_task())
    return answer.strip().lower() in {"y", "yes"}


def _end_on_signals(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
    if task is not None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, task.cancel)


def _finish(plan: Plan, report: Report, output: Format) -> ExitCode:
    match output:
        case Format.JSON:
            print(json.dumps({"plan": plan.model_dump(mode="json"), "report": _as_json(report)}, indent=2))
        case Format.MARKDOWN:
            print(render.markdown(plan))
            print(summary(plan, report))
        case Format.TEXT:
            print(summary(plan, report))
    return _CODES[report.verdict]


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "verdict": report.verdict.value,
        "targets": [
            {
                "name": outcome.name,
                "kind": outcome.kind,
                "result": outcome.result.value,
                "proof": outcome.proof.value if outcome.proof is not None else None,
                "text": outcome.text,
            }
            for outcome in report.outcomes
        ],
    }


def _names(plan: Plan) -> frozenset[str]:
    """Return the names of the targets that progress is shown for: the others are in sync or left unchanged."""
    quiet = {TargetStatus.IN_SYNC, TargetStatus.ORPHANED}
    return frozenset(target.name for target in plan.targets if target.steps or target.status not in quiet)


def _longest_retrain(plan: Plan) -> float | None:
    """Return how many seconds the training jobs will take together; None unless all of them have earlier times."""
    estimate = plan.preflight.estimate
    return estimate.seconds if estimate is not None and estimate.timed == estimate.retrains else None


def _dry_run_code(plan: Plan, *, detailed: bool) -> ExitCode:
    if plan.blocked:
        return ExitCode.ERROR
    if plan.refused:
        return ExitCode.REFUSED
    if not detailed:
        return ExitCode.OK
    if plan.pending:
        return ExitCode.PENDING
    return ExitCode.HELD if plan.held else ExitCode.OK


def _rendered(plan: Plan, output: Format, unfolded: frozenset[str]) -> str:
    match output:
        case Format.JSON:
            return render.json_text(plan)
        case Format.MARKDOWN:
            return render.markdown(plan, unfolded=unfolded)
        case Format.TEXT:
            color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            return render.text(plan, color=color, unfolded=unfolded)


def _write(plan: Plan, out: Path | None, output: Format, unfolded: frozenset[str]) -> None:
    if out is None:
        return
    kind = {".json": Format.JSON, ".md": Format.MARKDOWN}.get(out.suffix.lower(), output)
    text = render.text(plan, unfolded=unfolded) if kind is Format.TEXT else _rendered(plan, kind, unfolded)
    try:
        out.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error.strerror}") from error


def _secrets(cloud: Cloud) -> SecretResolver:
    return SecretResolver(os.environ, cloud.env_file)


def _store(url: str, *, read_only: bool) -> Store:
    return Store.open(url, clock=lambda: datetime.now(UTC), read_only=read_only)


def _run(work: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    """Run to the end, or until Ctrl-C or SIGTERM, which cancel every task in order."""

    async def interruptible() -> ExitCode:
        task = asyncio.create_task(work)
        _end_on_signals(asyncio.get_running_loop(), task)
        try:
            return await task
        except asyncio.CancelledError:
            print(
                "Interrupted. Jobs that were started keep running on the service; the next run resumes them.",
                file=sys.stderr,
            )
            return ExitCode.INTERRUPTED

    return asyncio.run(interruptible())
