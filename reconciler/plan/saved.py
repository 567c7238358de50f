"""Reads a saved plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn

from pydantic import ValidationError

from reconciler.bounded_json import DEEPEST, NestedTooDeep, read_json
from reconciler.plan.document import FORMAT_VERSION, Plan, digest_of, targets_of
from reconciler.plan.errors import SavedPlanError
from reconciler.plan.text import printable

_AGAIN = "Make a new plan with reconcile --dry-run --output json --out PLAN.json"
# The values of a patch are a part of a definition, which may be as deep as a text of JSON may be.
_DEEPEST = 2 * DEEPEST


def load_plan(text: str) -> Plan:
    """Read a plan that was written as JSON.

    Members that this version does not know are ignored, as the rules of ``format_version`` say, but the
    digest covers them.

    Raises:
        SavedPlanError: not JSON, not a plan, of another major format, edited, or with steps that do not fit
        together.
    """
    content = _parsed(text)
    _check_format(content)
    digest = content.get("digest")
    if not isinstance(digest, str) or not digest:
        raise SavedPlanError(f"The plan file has no digest, so edits of it could not be detected. {_AGAIN}")
    try:
        expected = digest_of(content)
    except (AttributeError, TypeError, ValueError) as error:
        raise SavedPlanError(f"Invalid plan file: every target group must be a list of objects. {_AGAIN}") from error
    if digest != expected:
        raise SavedPlanError(
            f"The plan file was edited: its digest is {digest[:19]}…, its content has {expected[:19]}…. {_AGAIN}"
        )
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = printable(".".join(map(str, _place(content, first["loc"]))))
        raise SavedPlanError(f"Invalid plan file: {place}: {first['msg']}. {_AGAIN}") from error
    _check_order(plan)
    return plan


def _parsed(text: str) -> dict[str, Any]:
    try:
        content = read_json(text, deepest=_DEEPEST, parse_constant=_no_constant)
    except NestedTooDeep as error:
        raise SavedPlanError(f"Invalid plan file: {error}. {_AGAIN}") from error
    except ValueError as error:
        raise SavedPlanError(f"Invalid plan file: not JSON: {error}. {_AGAIN}") from error
    if not isinstance(content, dict):
        raise SavedPlanError(f"Invalid plan file: not a JSON object. {_AGAIN}")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check_format(content: Mapping[str, Any]) -> None:
    version = content.get("format_version")
    if not isinstance(version, str) or re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", version) is None:
        raise SavedPlanError(f"Invalid plan file: no format_version such as {FORMAT_VERSION}. {_AGAIN}")
    known = FORMAT_VERSION.partition(".")[0]
    if version.partition(".")[0] != known:
        raise SavedPlanError(
            f"The plan file has format_version {version}; this reconciler reads {known}.x."
            f" Apply it with the release that wrote it. {_AGAIN}"
        )


def _place(content: Mapping[str, Any], location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where something stands in the document, which has its targets in groups."""
    if location[0] != "targets":
        return location
    places = [place for place, _ in targets_of(content)]
    return (*places[int(location[1])], *location[2:])


def _check_order(plan: Plan) -> None:
    after: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        if step.id in after:
            raise SavedPlanError(f"Invalid plan file: two steps have the id {printable(step.id)}. {_AGAIN}")
        after[step.id] = step.after
    for step_id, needed in after.items():
        missing = next((name for name in needed if name not in after), None)
        if missing is not None:
            raise SavedPlanError(
                f"Invalid plan file: step {printable(step_id)} waits for the missing {printable(missing)}. {_AGAIN}"
            )
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        around = printable(", ".join(error.args[1]))
        raise SavedPlanError(f"Invalid plan file: steps wait for each other: {around}. {_AGAIN}") from error
