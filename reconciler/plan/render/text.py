"""A plan as text: one line a target, then what changes, indented."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from reconciler.plan.checks.result import Preflight
from reconciler.plan.document import Action, Difference, GateOutcome, Plan, Step, TargetPlan, TargetStatus, VersionPlan
from reconciler.plan.render import phrases
from reconciler.plan.render.phrases import estimate_words, shown_checks
from reconciler.plan.render.sets import FoldedSet, fold
from reconciler.plan.text import count, printable, scalar
from reconciler.spec.diagnostics import join_names

_NARROWEST = 40
_LABEL = 10

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _MAGENTA, _CYAN = "1", "2", "31", "32", "33", "35", "36"
_COLOURS = {
    TargetStatus.BLOCKED: _RED,
    TargetStatus.REFUSED: _RED,
    TargetStatus.HELD: _MAGENTA,
    TargetStatus.DRIFT: _YELLOW,
    TargetStatus.CHANGE: _CYAN,
    TargetStatus.IN_SYNC: _GREEN,
    TargetStatus.ORPHANED: _YELLOW,
}
_SYMBOLS = {
    TargetStatus.BLOCKED: "x",
    TargetStatus.REFUSED: "X",
    TargetStatus.HELD: "‖",
    TargetStatus.DRIFT: "!",
    TargetStatus.CHANGE: "~",
    TargetStatus.IN_SYNC: "=",
    TargetStatus.ORPHANED: "?",
}
_ASCII = str.maketrans({"‖": "#", "→": "->", "…": "..."})


def text(
    plan: Plan,
    *,
    width: int = 100,
    color: bool = False,
    ascii_only: bool = False,
    unfolded: Collection[str] = frozenset(),
) -> str:
    """Return the plan as text for a terminal.

    Args:
        plan: The plan.
        width: Columns that prose is wrapped to. Names and uris are never cut.
        color: Whether to use ANSI colours.
        ascii_only: Whether the terminal shows nothing beyond ASCII; other characters become escapes.
        unfolded: The sets that are shown target by target.
    """
    lines = "\n".join(_Terminal(max(width, _NARROWEST), color=color).plan(plan, unfolded)) + "\n"
    if ascii_only:
        lines = lines.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")
    return lines


@dataclass(frozen=True, slots=True)
class _Terminal:
    """Yields the lines of a plan."""

    width: int
    color: bool = False

    def plan(self, whole: Plan, unfolded: Collection[str]) -> Iterator[str]:
        plan, sets = fold(whole, unfolded)
        yield self._painted(
            f"Plan for cloud {printable(plan.cloud)}, specs at {printable(plan.spec_revision)}",
            _BOLD,
        )
        yield phrases.header_counts(whole)
        if plan.partial:
            yield "Note: --select is set. Other targets are not part of this plan."
        if plan.forced:
            yield self._painted(f"Forced: {printable(', '.join(plan.forced))}", _YELLOW)
        yield from self._sets(sets)
        yield from self._versions(plan)
        for title, targets in (
            ("Blocked", plan.blocked),
            ("Refused as unsafe", plan.refused),
            ("Held", plan.held),
            ("Drift (changed outside reconciler)", plan.drift),
            ("Changes", plan.changes),
            ("Orphaned (removed from their sets)", plan.orphaned),
        ):
            if targets:
                yield from ("", self._painted(title, _BOLD))
            for target in targets:
                yield from self._target(target)
        yield from self._unchanged("In sync, ownership marker missing (only the marker will be added)", plan.adopted)
        yield from self._unchanged("In sync", [target for target in plan.in_sync if not target.steps])
        yield from self._preflight(plan.preflight)
        yield ""
        summary = f"{phrases.summary(whole)}."
        yield f"{self._painted(summary, _BOLD)} Digest {plan.digest}"

    def _sets(self, sets: Sequence[FoldedSet]) -> Iterator[str]:
        if sets:
            yield from ("", self._painted("Sets", _BOLD))
        for one in sets:
            symbol = _SYMBOLS[one.worst]
            prefix = f"{self._painted(f'{symbol} {printable(one.name)}', _COLOURS[one.worst])}: "
            yield from self._wrapped(prefix, one.line, 4)
            if one.jobs:
                yield from self._detail("train", f"requires training: {one.jobs}")
            for status, sentence in one.messages:
                yield from self._detail(status, sentence)
            if one.worst is not TargetStatus.IN_SYNC:
                yield from self._detail("each", f"--unfold {one.name}")

    def _versions(self, plan: Plan) -> Iterator[str]:
        training = [version for version in plan.versions if version.steps]
        if training:
            yield from ("", self._painted("Versions to train", _BOLD))
        wanted_by = phrases.wanted_by(plan)
        for version in training:
            for step in version.steps:
                yield from self._training(version, step, wanted_by.get(step.id, []))

    def _training(self, version: VersionPlan, step: Step, targets: Sequence[str]) -> Iterator[str]:
        cost = self._painted("requires a training job", _BOLD, _YELLOW)
        name = self._painted(f"+ {printable(version.name)}", _GREEN)
        yield f"{name}  {cost} ({phrases.cost_of_training(step)})"
        for reason in step.reasons:
            yield from self._detail("why", reason.text)
        if version.training:
            yield from self._detail("service", version.training)
        for name, what in version.inputs.items():
            yield from self._detail("input", f"{name}: {what}")
        if targets:
            yield from self._detail("for", join_names(targets, limit=phrases.MANY_IN_SYNC))

    def _target(self, target: TargetPlan) -> Iterator[str]:
        created = any(step.action is Action.CREATE for step in target.steps)
        deleted = any(step.action is Action.DELETE for step in target.steps)
        changing = target.status is TargetStatus.CHANGE
        symbol = "+" if created and changing else "-" if deleted and changing else _SYMBOLS[target.status]
        name = self._painted(f"{symbol} {printable(target.name)}", _COLOURS[target.status])
        yield f"{name}  {_movement(target)}  {self._painted(f'({_basis(target)})', _DIM)}"
        if target.status is not TargetStatus.IN_SYNC:
            yield from self._detail("evidence", phrases.basis(target))
        for reason in phrases.shown_reasons(target):
            yield from self._detail("why", reason.text)
        yield from self._gates(target)
        for step in target.steps:
            yield from self._step(target, step)
        if target.steps:
            yield from self._detail("steps", " → ".join(phrases.action_names(target)))
        if target.remedy:
            yield from self._detail("remedy", target.remedy)

    def _gates(self, target: TargetPlan) -> Iterator[str]:
        rules = [printable(gate.rule) for gate in target.gates]
        widest = max(map(len, rules), default=0)
        for rule, gate in zip(rules, target.gates, strict=True):
            colour = _GREEN if gate.outcome is GateOutcome.PASS else _RED
            outcome = self._painted(f"{gate.outcome:<12}", colour)
            yield f"{self._label('gate')}{rule:<{widest}}  {outcome}  {printable(gate.text)}"
        for rule in phrases.rules_to_judge(target):
            yield from self._detail("gate", f"{rule} (judged after training)")

    def _step(self, target: TargetPlan, step: Step) -> Iterator[str]:
        if step.action is Action.REPOINT:
            for changed in step.differences:
                yield from self._detail("repoint", _repointed(target, changed))
        elif step.action is Action.SETTINGS:
            for changed in step.differences:
                old, new = (
                    printable(scalar(changed.old)),
                    printable(scalar(changed.new)),
                )
                yield f"{self._label('setting')}{printable(changed.field)}: {old} → {new}"
            for reason in phrases.definition_reasons(step):
                yield from self._detail("differs", reason.text)
            return  # The reasons say what the patch does, which is long.
        guarded = {operation.path: operation.value for operation in step.patch if operation.op == "test"}
        for operation in step.patch:
            if operation.op == "test":
                continue
            yield f"{self._label('patch')}{operation.op} {printable(operation.path)}"
            indent = " " * len(self._label("patch"))
            if operation.path in guarded:
                yield indent + self._painted(f"- {printable(str(guarded[operation.path]))}", _RED)
            yield indent + self._painted(f"+ {printable(str(operation.value))}", _GREEN)

    def _unchanged(self, title: str, targets: Sequence[TargetPlan]) -> Iterator[str]:
        if not targets:
            return
        yield from ("", self._painted(title, _BOLD))
        if len(targets) <= phrases.MANY_IN_SYNC:
            for target in targets:
                yield from self._target(target)
            return
        names = join_names([printable(target.name) for target in targets], limit=phrases.MANY_IN_SYNC)
        yield from self._wrapped(f"{self._painted('=', _GREEN)} ", f"{count(len(targets), 'target')}: {names}", 2)
        for counted in phrases.evidence_counts(targets):
            yield from self._detail("evidence", counted)
        noted = sum(1 for target in targets if target.reasons)
        if noted and not targets[0].steps:
            yield from self._detail("notes", f"on {count(noted, 'target')}; see --output json")

    def _preflight(self, preflight: Preflight) -> Iterator[str]:
        shown = shown_checks(preflight)
        if shown or preflight.estimate is not None:
            yield from ("", self._painted("Preflight checks", _BOLD))
        for check in shown:
            yield from self._detail(check.outcome, f"{check.name}: {check.subject}: {check.text}")
            if check.remedy:
                yield from self._detail("remedy", check.remedy)
        if preflight.estimate is not None:
            yield from self._detail("estimate", estimate_words(preflight.estimate))
            if preflight.estimate.seconds is not None:
                yield from self._detail("basis", preflight.estimate.basis)

    def _detail(self, label: str, prose: str) -> Iterator[str]:
        prefix = self._label(label)
        return self._wrapped(prefix, printable(prose), len(prefix))

    def _wrapped(self, prefix: str, prose: str, indent: int) -> Iterator[str]:
        wrapped = textwrap.wrap(
            prose, max(self.width - indent, _NARROWEST // 2), break_long_words=False, break_on_hyphens=False
        )
        for number, line in enumerate(wrapped):
            yield (" " * indent if number else prefix) + line

    def _label(self, label: str) -> str:
        return f"    {label:<{_LABEL}}"

    def _painted(self, words: str, *codes: str) -> str:
        return f"\033[{';'.join(codes)}m{words}\033[0m" if self.color else words


def _movement(target: TargetPlan) -> str:
    desired = printable(target.desired)
    moves = any(step.action in {Action.REPOINT, Action.DELETE} for step in target.steps)
    if target.status is TargetStatus.IN_SYNC or (target.steps and not moves):
        return desired
    if target.status in {TargetStatus.BLOCKED, TargetStatus.REFUSED}:
        return f"wants {desired}"
    return f"{phrases.live_words(target)} → {desired}"


def _repointed(target: TargetPlan, changed: Difference) -> str:
    resource = changed.resource or ""
    if len(target.models) == 1:
        return resource
    return f"{resource}: {changed.old or 'unknown'} → {changed.new}"


def _basis(target: TargetPlan) -> str:
    kind = phrases.kind_in_words(target.kind)
    return f"{kind}; evidence: {target.evidence}" if target.status is TargetStatus.IN_SYNC else kind
