"""What has to be allowed for what is done to New web services, in the words of Azure's roles (new-protocol 6.8). Pure.

The names are those of Microsoft's list of the provider's operations; that of ``listKeys`` is inferred from its path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.azure.errors import ServiceError
from reconciler.plan.checks.facts import RequiredPermission
from reconciler.plan.checks.permissions import remedy_for
from reconciler.plan.document import Action, Step
from reconciler.plan.states import Problem
from reconciler.spec.documents import NewWebServiceSpec
from reconciler.targets.new_service.state import COMMITMENT_PLAN, KEYS

_SERVICES = "Microsoft.MachineLearning/webServices"
_PLANS = "Microsoft.MachineLearning/commitmentPlans"
READ = f"{_SERVICES}/read"
LIST_KEYS = f"{_SERVICES}/listKeys/read"
PREPARE_REGION = f"{_SERVICES}/action"
"""What ``CreateRegionalBlob`` is."""
JOIN = f"{_PLANS}/join/action"
ASSOCIATIONS = f"{_PLANS}/commitmentAssociations/read"
MOVE = f"{_PLANS}/commitmentAssociations/move/action"

_WRITES = {Action.CREATE: "write", Action.REPOINT: "write", Action.ADOPT: "write", Action.DELETE: "delete"}
_REFUSAL = re.compile(r"perform action '([^']+)' over scope '([^']+)'")


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


def training_needs(resource_id: str) -> tuple[RequiredPermission, ...]:
    """Return what has to be allowed for a job of a training service: to see where it is called, and its key."""
    return RequiredPermission(READ, resource_id), RequiredPermission(LIST_KEYS, resource_id)


def refusal(error: Exception, of: str) -> Problem | None:
    """Return an answer that says which action is not allowed, as a problem of ``of``; None for any other answer."""
    found = _REFUSAL.search(error.message) if isinstance(error, ServiceError) and error.status == 403 else None
    if found is None:
        return None
    action, scope = found.groups()
    # Without the request's id, so that two plans of one world are the same.
    return Problem("not-permitted", f"{of}: missing permission: {action} on {scope}", remedy_for(action, scope))


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
