"""What has to be allowed for each step on a New web service, as Azure's roles name it (new-protocol 6.8). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.plan.checks.facts import RequiredPermission
from reconciler.plan.document import Action, Step
from reconciler.spec.documents import NewWebServiceSpec
from reconciler.targets.arm.permissions import LIST_KEYS, READ
from reconciler.targets.new_service.state import COMMITMENT_PLAN, KEYS

_SERVICES = "Microsoft.MachineLearning/webServices"
_PLANS = "Microsoft.MachineLearning/commitmentPlans"
PREPARE_REGION = f"{_SERVICES}/action"
"""What ``CreateRegionalBlob`` is."""
JOIN = f"{_PLANS}/join/action"
ASSOCIATIONS = f"{_PLANS}/commitmentAssociations/read"
MOVE = f"{_PLANS}/commitmentAssociations/move/action"

_WRITES = {Action.CREATE: "write", Action.REPOINT: "write", Action.ADOPT: "write", Action.DELETE: "delete"}


def step_needs(spec: NewWebServiceSpec, step: Step, source: str | None) -> tuple[RequiredPermission, ...]:
    """Return what has to be allowed for a step; its first need is of the service itself.

    Args:
        spec: Of the service.
        step: The step, with its differences.
        source: The resource id of the service that it would be created as a copy of.
    """
    if step.action not in {*_WRITES, Action.SETTINGS, Action.VERIFY} or (
        step.action is Action.VERIFY and spec.state == "absent"
    ):
        return ()
    return tuple(dict.fromkeys([RequiredPermission(READ, spec.resource_id), *_of(spec, step, source)]))


def _of(spec: NewWebServiceSpec, step: Step, source: str | None) -> Iterator[RequiredPermission]:
    own = spec.resource_id
    if step.action in _WRITES:
        yield RequiredPermission(f"{_SERVICES}/{_WRITES[step.action]}", own)
    if step.action is Action.CREATE:
        if source is not None:
            yield RequiredPermission(READ, source)
            yield RequiredPermission(PREPARE_REGION, source)
        if spec.commitment_plan is not None:
            yield RequiredPermission(JOIN, spec.commitment_plan)
    if step.action is Action.SETTINGS:
        yield from _settings(spec, step)
    if step.action in {Action.SETTINGS, Action.VERIFY}:
        yield from _compared(spec)
    if step.action is Action.VERIFY and spec.probe is not None:
        yield RequiredPermission(LIST_KEYS, own)


def _settings(spec: NewWebServiceSpec, step: Step) -> Iterator[RequiredPermission]:
    """Return the permissions of a plan change: moving its association, or a write if none pays yet (new-protocol 5)."""
    own = spec.resource_id
    writes = bool(step.patch)
    for changed in step.differences:
        if changed.field != COMMITMENT_PLAN:
            writes = True
            continue
        yield RequiredPermission(JOIN, str(changed.new))
        if changed.old is None:
            writes = True
            continue
        old = str(changed.old)
        yield from (RequiredPermission(f"{_PLANS}/read", plan) for plan in (old, str(changed.new)))
        yield RequiredPermission(ASSOCIATIONS, old)
        yield RequiredPermission(MOVE, old)
    if writes:
        yield RequiredPermission(f"{_SERVICES}/write", own)
    # Both keys are sent along then, and the one that is not referenced is the one that is there.
    if any(each.field.startswith(KEYS) for each in step.differences) or any(each.op == "remove" for each in step.patch):
        yield RequiredPermission(LIST_KEYS, own)


def _compared(spec: NewWebServiceSpec) -> Iterator[RequiredPermission]:
    """Return what is read beside the definition, to compare it with the spec."""
    if spec.keys is not None:
        yield RequiredPermission(LIST_KEYS, spec.resource_id)
    if spec.commitment_plan is not None:
        yield RequiredPermission(ASSOCIATIONS, spec.commitment_plan)
