"""Reads a saved plan, and says what moved between it and the world of now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn

from pydantic import ValidationError

from reconciler.bounded_json import DEEPEST, NestedTooDeep, read_json
from reconciler.plan.diff import explain_difference
from reconciler.plan.document import FORMAT_VERSION, Plan, TargetPlan, VersionPlan, digest_of
from reconciler.plan.errors import SavedPlanError
from reconciler.plan.text import count, printable, short_fingerprint

_AGAIN = "make a new one with reconcile --dry-run --output json --out PLAN.json"
# Sentences on so many targets are read; the rest is counted, because each costs a comparison in depth.
_EXPLAINED = 20
# The values of a patch are a part of a definition, which may be as deep as a text of JSON may be.
_DEEPEST = 2 * DEEPEST


def load_plan(text: str) -> Plan:
    """Read a plan that was written as JSON.

    Members that this version does not know are ignored, as the rules of ``format_version`` say, but the
    digest covers them.

    Raises:
        SavedPlanError: it is no JSON, no plan, of another major format, was edited, or its steps do not fit
        together.
    """
    content = _parsed(text)
    _check_format(content)
    digest = content.get("digest")
    if not isinstance(digest, str) or not digest:
        raise SavedPlanError(f"the plan has no digest, so nobody can tell whether it was edited; {_AGAIN}")
    try:
        expected = digest_of(content)
    except (AttributeError, TypeError, ValueError) as error:
        raise SavedPlanError(f"this is no plan: a group of it is no list of objects; {_AGAIN}") from error
    if digest != expected:
        raise SavedPlanError(
            f"the plan was edited: its digest is {digest[:19]}…, its content has {expected[:19]}…; {_AGAIN}"
        )
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = printable(".".join(map(str, first["loc"])))
        raise SavedPlanError(f"this is no plan: {place}: {first['msg']}; {_AGAIN}") from error
    _check_order(plan)
    return plan


def same_plan(old: Plan, new: Plan) -> tuple[str, ...]:
    """What moved from a saved plan to a fresh one, a sentence for each thing; empty if nothing did."""
    old_digest, new_digest = old.computed_digest(), new.computed_digest()
    if old_digest == new_digest:
        return ()
    found = (*_moved_as_a_whole(old, new), *_moved_versions(old, new), *_moved_targets(old, new))
    return found or (f"the plan was {old_digest[:19]}…, is now {new_digest[:19]}…",)


def _parsed(text: str) -> dict[str, Any]:
    try:
        content = read_json(text, deepest=_DEEPEST, parse_constant=_no_constant)
    except NestedTooDeep as error:
        raise SavedPlanError(f"this is no plan: {error}; {_AGAIN}") from error
    except ValueError as error:
        raise SavedPlanError(f"this is no plan, because it is no JSON: {error}; {_AGAIN}") from error
    if not isinstance(content, dict):
        raise SavedPlanError(f"this is no plan: it is no JSON object; {_AGAIN}")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check_format(content: Mapping[str, Any]) -> None:
    version = content.get("format_version")
    if not isinstance(version, str) or re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", version) is None:
        raise SavedPlanError(f"this is no plan: it has no format_version such as {FORMAT_VERSION}; {_AGAIN}")
    ours = FORMAT_VERSION.partition(".")[0]
    if version.partition(".")[0] != ours:
        raise SavedPlanError(
            f"the plan has format_version {version}; this reconciler reads {ours}.x."
            f" Use the one that wrote it, or {_AGAIN}"
        )


def _check_order(plan: Plan) -> None:
    after: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        if step.id in after:
            raise SavedPlanError(f"two steps of the plan have the id {printable(step.id)}; {_AGAIN}")
        after[step.id] = step.after
    for step_id, needed in after.items():
        missing = next((name for name in needed if name not in after), None)
        if missing is not None:
            raise SavedPlanError(
                f"step {printable(step_id)} waits for {printable(missing)}, which there is not; {_AGAIN}"
            )
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        around = printable(", ".join(error.args[1]))
        raise SavedPlanError(f"steps of the plan wait for each other: {around}; {_AGAIN}") from error


def _moved_as_a_whole(old: Plan, new: Plan) -> Iterator[str]:
    if old.cloud != new.cloud:
        yield f"the plan was made for cloud {printable(old.cloud)}, this is {printable(new.cloud)}"
    if old.spec_revision != new.spec_revision:
        yield f"the specs were at revision {printable(old.spec_revision)}, are now at {printable(new.spec_revision)}"
    if old.partial != new.partial:
        yield "the plan was made for selected targets" if old.partial else "the plan was made for all targets"
    if old.forced != new.forced:
        yield f"forced was {_rules(old)}, is now {_rules(new)}"


def _rules(plan: Plan) -> str:
    return printable(", ".join(plan.forced)) or "nothing"


def _moved_versions(old: Plan, new: Plan) -> Iterator[str]:
    before = {version.name: version for version in old.versions}
    after = {version.name: version for version in new.versions}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            moved = "was not wanted, is now" if was is None else "is not wanted any more"
            yield f"version {printable(name)}: {moved}"
        elif was != now:
            yield from (f"version {printable(name)}: {moved}" for moved in _version_moves(was, now))


def _version_moves(was: VersionPlan, now: VersionPlan) -> Iterator[str]:
    if was.fingerprint != now.fingerprint:
        yield f"its recipe was {short_fingerprint(was.fingerprint)}, is now {short_fingerprint(now.fingerprint)}"
    if was.usable != now.usable:
        yield "it is usable now" if now.usable else "it is not usable any more"
    if was.attempt != now.attempt:
        yield f"its attempt was {was.attempt}, is now {now.attempt}"
    if was.location != now.location:
        yield f"its place was {printable(was.location or 'unknown')}, is now {printable(now.location or 'unknown')}"
    if was.problem != now.problem and now.problem is not None:
        yield printable(now.problem.text)


def _moved_targets(old: Plan, new: Plan) -> Iterator[str]:
    before = {(target.name, target.kind): target for target in old.targets}
    after = {(target.name, target.kind): target for target in new.targets}
    differing = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    for key in differing[:_EXPLAINED]:
        was, now = before.get(key), after.get(key)
        if was is None or now is None:
            moved = "was not in the plan, is now" if was is None else "is not there any more"
            yield f"{printable(key[0])}: {moved}"
        else:
            moves = list(_target_moves(was, now)) or explain_difference(_dumped(was), _dumped(now))
            yield from (f"{printable(key[0])}: {moved}" for moved in moves)
    if len(differing) > _EXPLAINED:
        yield f"{count(len(differing) - _EXPLAINED, 'more target')} moved"


def _target_moves(was: TargetPlan, now: TargetPlan) -> Iterator[str]:
    if was.identity != now.identity:
        yield f"it was {printable(was.identity)}, is now {printable(now.identity)}"
    if was.desired != now.desired:
        yield f"the spec wanted {printable(was.desired)}, now wants {printable(now.desired)}"
    if was.live != now.live or was.evidence != now.evidence:
        yield f"it served {_live(was)}, now {_live(now)}"
    if was.status != now.status:
        yield f"it was {was.status}, is now {now.status}"
    if was.observed_fingerprint != now.observed_fingerprint and was.live == now.live:
        yield "what is live there changed since the plan was made"


def _live(target: TargetPlan) -> str:
    live = "something unknown" if target.live is None else printable(target.live)
    return f"{live} (evidence: {target.evidence})"


def _dumped(target: TargetPlan) -> dict[str, Any]:
    return target.model_dump(mode="json")
