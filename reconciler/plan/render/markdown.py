"""A plan as Markdown for a pull request: a table, then what changes in parts that fold away.

Names come from users and from the wire, so each is made harmless: it cannot end a table cell, open a tag,
mention a person or close the fence around it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence

from reconciler.plan.checks.result import Preflight
from reconciler.plan.document import Action, ModelPlan, Plan, TargetPlan, TargetStatus
from reconciler.plan.render import phrases
from reconciler.plan.render.phrases import estimate_words, shown_checks
from reconciler.plan.render.sets import FoldedSet, fold
from reconciler.plan.text import count, printable, scalar
from reconciler.spec.diagnostics import join_names

_STATUS = {
    TargetStatus.BLOCKED: "blocked",
    TargetStatus.REFUSED: "refused",
    TargetStatus.HELD: "held",
    TargetStatus.DRIFT: "drift",
    TargetStatus.CHANGE: "change",
    TargetStatus.IN_SYNC: "in sync",
    TargetStatus.ORPHANED: "orphaned",
}
_MARKUP = re.compile(r"([\\`*_\[\]<>|~&])")
# Forges link these wherever they stand, escaped or not; a character of no width between keeps them as they
# are.
_LINKED = re.compile(r"(?<!\w)([@#!])(?=\w)")
_NEEDS_ENTITIES = frozenset("`|\\")


def markdown(plan: Plan, *, unfolded: Collection[str] = frozenset()) -> str:
    """Return the plan as GitHub-flavoured Markdown; ``unfolded`` names the sets shown target by target."""
    return "\n".join(_plan(plan, unfolded)) + "\n"


def _plan(whole: Plan, unfolded: Collection[str]) -> Iterator[str]:
    plan, sets = fold(whole, unfolded)
    yield f"## Plan for {_code(plan.cloud)}"
    yield ""
    yield f"**{phrases.summary(whole)}.** Specs at {_code(plan.spec_revision)}."
    if plan.partial:
        yield from ("", "> `--select` is set. Other targets are not part of this plan.")
    if plan.forced:
        yield from ("", f"> Forced: {', '.join(map(_code, plan.forced))}")
    yield from _sets(sets)
    yield from _versions(plan)
    pending = [target for target in plan.targets if target.status is not TargetStatus.IN_SYNC]
    if pending:
        yield from _table(pending)
        yield from _folded("What changes, and why", [line for target in pending for line in _target(target)])
    for title, targets in (
        ("In sync, ownership marker missing (only the marker will be added)", plan.adopted),
        ("In sync", [target for target in plan.in_sync if not target.steps]),
    ):
        if targets:
            yield from _folded(f"{title}: {count(len(targets), 'target')}", _unchanged(targets))
    yield from _preflight(plan.preflight)
    yield from ("", f"Digest {_code(plan.digest)}")


def _sets(sets: Sequence[FoldedSet]) -> Iterator[str]:
    if not sets:
        return
    yield from ("", "### Sets", "", "| Set | Status | To train |", "|---|---|---|")
    for one in sets:
        yield f"| {_code(one.name)} | {_prose(one.line)} | {_prose(one.jobs) or 'nothing'} |"
    for one in sets:
        lines = [f"- **{status}**: {_prose(sentence)}" for status, sentence in one.messages]
        if lines:
            yield from ("", f"{_code(one.name)}:", "", *lines)


def _versions(plan: Plan) -> Iterator[str]:
    training = [(version, step) for version in plan.versions for step in version.steps]
    if not training:
        return
    yield from ("", "### Versions to train", "")
    yield "| Version | Time | Service | Inputs | Why |"
    yield "|---|---|---|---|---|"
    for version, step in training:
        inputs = "<br>".join(f"{_code(name)}: {_prose(what)}" for name, what in version.inputs.items())
        why = "<br>".join(_prose(reason.text) for reason in step.reasons)
        time = phrases.cost_of_training(step)
        yield f"| {_code(version.name)} | {time} | {_prose(version.training)} | {inputs} | {why} |"


def _table(targets: Sequence[TargetPlan]) -> Iterator[str]:
    yield from ("", "### Targets", "")
    yield "| Status | Target | Live | Evidence | Wanted | Steps |"
    yield "|---|---|---|---|---|---|"
    for target in targets:
        words = phrases.live_words(target)
        live = _code(words) if target.live is not None and "://" not in target.live else words
        steps = ", ".join(phrases.action_names(target)) or "none"
        cells = (f"**{_STATUS[target.status]}**", _code(target.name), live, str(target.evidence))
        yield f"| {' | '.join(cells)} | {_code(target.desired)} | {steps} |"


def _target(target: TargetPlan) -> Iterator[str]:
    yield from (f"#### {_code(target.name)}", "")
    yield f"- {phrases.kind_in_words(target.kind)} {_code(target.identity)}"
    yield from map(_model, target.models)
    if basis := phrases.basis(target):
        yield f"- evidence for what is live: {basis}"
    for reason in phrases.shown_reasons(target):
        yield f"- {_prose(reason.text)}"
    for rule in phrases.rules_to_judge(target):
        yield f"- gate, judged after training: {_prose(rule)}"
    for step in target.steps:
        if step.action is Action.SETTINGS:
            for changed in step.differences:
                yield f"- {_code(changed.field)}: {_code(scalar(changed.old))} → {_code(scalar(changed.new))}"
            yield from (f"- {_prose(reason.text)}" for reason in phrases.definition_reasons(step))
    if target.remedy:
        yield f"- **remedy:** {_prose(target.remedy)}"
    yield ""
    if target.gates:
        yield from ("| Gate | Outcome | |", "|---|---|---|")
        for gate in target.gates:
            yield f"| {_prose(gate.rule)} | **{gate.outcome}** | {_prose(gate.text)} |"
        yield ""
    for step in target.steps:
        if step.patch:
            yield from _fenced([operation.model_dump(mode="json") for operation in step.patch])


def _model(model: ModelPlan) -> str:
    live = "" if model.live is None or model.in_sync or "://" in model.live else f"{_code(model.live)} → "
    return f"- resource {_code(model.resource)}: {live}{_code(model.desired)}"


def _preflight(preflight: Preflight) -> Iterator[str]:
    shown = shown_checks(preflight)
    if shown:
        yield from ("", "### Preflight checks", "", "| Outcome | Check | Found | Remedy |", "|---|---|---|---|")
    for check in shown:
        found = f"{_code(check.subject)}: {_prose(check.text)}"
        yield f"| **{check.outcome}** | {_prose(check.name)} | {found} | {_prose(check.remedy)} |"
    if preflight.estimate is not None:
        yield ""
        basis = "" if preflight.estimate.seconds is None else f" ({_prose(preflight.estimate.basis)})"
        yield f"**Estimate:** {_prose(estimate_words(preflight.estimate))}{basis}"


def _fenced(value: object) -> Iterator[str]:
    # ASCII, so that no character of a uri can reorder or break the lines around it.
    content = json.dumps(value, indent=2)
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}json", content, fence, "")


def _unchanged(targets: Sequence[TargetPlan]) -> list[str]:
    if len(targets) > phrases.MANY_IN_SYNC:
        names = join_names([_code(target.name) for target in targets], limit=phrases.MANY_IN_SYNC)
        return [f"{names}.", "", *(f"- {counted}" for counted in phrases.evidence_counts(targets))]
    lines = ["| Target | Version | Evidence | Notes |", "|---|---|---|---|"]
    for target in targets:
        notes = "<br>".join(_prose(reason.text) for reason in target.reasons)
        lines.append(f"| {_code(target.name)} | {_code(target.desired)} | {target.evidence} | {notes} |")
    return lines


def _folded(title: str, lines: Sequence[str]) -> Iterator[str]:
    # Markdown inside <details> is read as such only after an empty line.
    yield from ("", f"<details><summary>{title}</summary>", "", *lines, "", "</details>")


def _code(text: str) -> str:
    """``text`` as code, in a table or out of one."""
    shown = printable(text)
    if not shown.strip():
        return "<code>&nbsp;</code>"
    if not _NEEDS_ENTITIES & set(shown):
        return f"`{shown}`"
    # A backtick would end the span and a bar the cell; no escape for both works inside a span in a table.
    # Numeric entities are never read as markup.
    entities = "".join(
        character if character.isalnum() or character == " " else f"&#{ord(character)};" for character in shown
    )
    return f"<code>{entities}</code>"


def _prose(text: str) -> str:
    """``text`` as running words, in a table or out of one."""
    return _LINKED.sub("\\1\u200b", _MARKUP.sub(r"\\\1", printable(text)))
