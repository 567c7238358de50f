"""Asks what a plan's steps need to be known of the world. Nothing is asked for what is in sync.

A plan of ten thousand targets that are in sync costs no call here; otherwise it is one a workspace whose storage is
used, one a resource group, one a subscription, whatever the number of targets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import islice

from reconciler.plan.checks.facts import (
    Access,
    CommitmentPlanAssignment,
    CommitmentPlanState,
    Facts,
    RequiredPermission,
    Signature,
    Storage,
)
from reconciler.plan.checks.result import Check
from reconciler.plan.document import Action, Plan, Step, TargetPlan
from reconciler.preflight.storage import ask_account, ask_storage, read_signature_validity
from reconciler.spec.documents import Model
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.arm.commitment_plans import Payers, ask_payers, ask_standings
from reconciler.targets.arm.permissions import ask_permissions, training_needs
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import AccountKey
from reconciler.targets.driver import Driver, Requirements

_Needs = dict[str, tuple[RequiredPermission, ...]]


async def facts_for(plan: Plan, clients: Clients, drivers: Mapping[str, Driver]) -> Facts:
    """Return what has to be known to judge whether the steps of a plan can be carried out.

    Args:
        plan: As it was decided.
        clients: The pass's clients.
        drivers: By kind, after they have observed.
    """
    pending = (*plan.drift, *plan.changes, *plan.adopted)
    if not pending:
        return Facts()
    trained_by = dict(_trained_by(plan, clients))
    required = _required(pending, drivers)
    needs = {step_id: each.permissions for step_id, each in required.items() if each.permissions}
    paid = {**trained_by, **{step_id: needed[0].resource for step_id, needed in needs.items()}}
    needs |= {step_id: training_needs(resource_id) for step_id, resource_id in trained_by.items()}
    claims = dict(_claims(pending, required))
    storage, (settled, access), payers, (standings, more) = await asyncio.gather(
        _ask_storage(await _workspaces(plan, pending, clients), _handed_over(required), clients),
        _ask_permissions(needs, clients),
        _ask_payers(paid, clients, for_jobs=bool(trained_by)),
        _ask_standings(claims, clients),
    )
    return Facts(
        quotas={step_id: each.quota for step_id, each in required.items() if each.quota is not None},
        needs=settled,
        access=access,
        storage=storage,
        signatures=await _signatures(pending, clients),
        payers={
            step_id: payers.of[resource.lower()] for step_id, resource in paid.items() if resource.lower() in payers.of
        },
        claims=claims,
        standings=standings,
        more=(*payers.checks, *more),
    )


def _trained_by(plan: Plan, clients: Clients) -> Iterator[tuple[str, str]]:
    """Return the train steps whose jobs a New web service runs, each with its resource id."""
    for version in plan.versions:
        training = clients.fleet.models[version.model].spec.training
        if training is not None and training.new is not None:
            for step in version.steps:
                yield step.id, training.new.resource_id


def _steps(pending: tuple[TargetPlan, ...], action: Action) -> Iterator[tuple[TargetPlan, Step]]:
    for target in pending:
        for step in target.steps:
            if step.action is action:
                yield target, step


def _required(pending: tuple[TargetPlan, ...], drivers: Mapping[str, Driver]) -> dict[str, Requirements]:
    """Return what each step needs, by its id."""
    return {
        step.id: drivers[target.kind].requirements(target.identity, step) for target in pending for step in target.steps
    }


def _claims(
    pending: tuple[TargetPlan, ...], required: Mapping[str, Requirements]
) -> Iterator[tuple[str, CommitmentPlanAssignment]]:
    for target in pending:
        claimed = ((step.id, required[step.id].payer) for step in target.steps)
        # What is created with its plan is not moved to it once more.
        yield from islice(((step_id, claim) for step_id, claim in claimed if claim is not None), 1)


def _moved_to(pending: tuple[TargetPlan, ...]) -> dict[tuple[str, str], set[str]]:
    """Return the versions that targets are pointed to, by model and label, each with the repoint steps."""
    found: dict[tuple[str, str], set[str]] = {}
    for _, step in _steps(pending, Action.REPOINT):
        for moved in step.differences:
            model, _, label = str(moved.new).partition("@")
            found.setdefault((model, label), set()).add(step.id)
    return found


async def _signatures(pending: tuple[TargetPlan, ...], clients: Clients) -> dict[Signature, frozenset[str]]:
    looked = {
        await read_signature_validity(clients, model, label): frozenset(steps)
        for (model, label), steps in _moved_to(pending).items()
    }
    return {signature: steps for signature, steps in looked.items() if signature is not None}


async def _workspaces(plan: Plan, pending: tuple[TargetPlan, ...], clients: Clients) -> dict[str, set[str]]:
    """Return the workspaces to whose storage steps write, or with whose key they sign, each with those steps."""
    models = clients.fleet.models
    found: dict[str, set[str]] = {}
    for version in plan.versions:
        for step in version.steps:
            found.setdefault(models[version.model].spec.workspace, set()).add(step.id)
    for (model, label), steps in _moved_to(pending).items():
        if await _signed_by_us(clients, models[model], label):
            found.setdefault(models[model].spec.workspace, set()).update(steps)
    return found


async def _signed_by_us(clients: Clients, model: Model, label: str) -> bool:
    """Whether a version lies in its workspace's account; in another it is readable for everybody or not at all."""
    ready = model.spec.versions.get(label)
    if ready is None:
        return True
    if ready.location.sas_token is not None:
        return False
    try:
        return (await clients.blobs(model.spec.workspace)).holds(ready.location.base_location)
    except MissingSecret:
        return True  # It would fail for that very reason, which the look at the storage tells.


def _handed_over(required: Mapping[str, Requirements]) -> dict[AccountKey, set[str]]:
    """Return the storage keys that steps give to services, each with those steps."""
    found: dict[AccountKey, set[str]] = {}
    for step_id, each in required.items():
        if each.key is not None:
            found.setdefault(each.key, set()).add(step_id)
    return found


async def _ask_storage(
    workspaces: Mapping[str, set[str]], keys: Mapping[AccountKey, set[str]], clients: Clients
) -> dict[Storage, frozenset[str]]:
    asked = await asyncio.gather(
        *(ask_storage(clients, name) for name in workspaces), *(ask_account(clients, key) for key in keys)
    )
    steps = (*workspaces.values(), *keys.values())
    return {storage: frozenset(using) for storage, using in zip(asked, steps, strict=True)}


async def _ask_permissions(needs: _Needs, clients: Clients) -> tuple[_Needs, dict[str, Access]]:
    return await ask_permissions(clients.definitions, needs) if needs else ({}, {})


async def _ask_payers(paid: Mapping[str, str], clients: Clients, *, for_jobs: bool) -> Payers:
    if not paid:
        return Payers({})
    return await ask_payers(clients.definitions, frozenset(paid.values()), for_jobs=for_jobs)


async def _ask_standings(
    claims: Mapping[str, CommitmentPlanAssignment], clients: Clients
) -> tuple[dict[str, CommitmentPlanState | None], list[Check]]:
    if not claims:
        return {}, []
    return await ask_standings(clients.definitions, frozenset(claim.plan for claim in claims.values()))
