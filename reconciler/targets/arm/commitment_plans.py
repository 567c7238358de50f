"""Asks which commitment plan pays for which New web service, and how much of it is left.

A web service never tells its plan; only a plan's own list of them does (new-protocol 5), which may be long. So only
those plans are asked for theirs that matter: which stop their services when they are used up, or, where jobs are to be
paid, have little left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.azure.arm.commitment_plans import CommitmentPlan, Quantity, list_plans, services_of
from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.errors import ServiceError
from reconciler.plan.checks.commitment_plans import NEARLY_USED_UP
from reconciler.plan.checks.facts import CommitmentPlanState, CommitmentPlanUsage
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.spec.secrets import MissingSecret

_LISTS_ASKED = 10


@dataclass(frozen=True, slots=True)
class Payers:
    """The commitment plans that matter, by the lower-cased id of a service that each pays for; and what went wrong."""

    of: Mapping[str, CommitmentPlanUsage]
    checks: tuple[Check, ...] = ()


async def ask_payers(definitions: Definitions, resource_ids: frozenset[str], *, for_jobs: bool = False) -> Payers:
    """One list of plans a subscription, and one of services for each plan that matters.

    Args:
        definitions: The client.
        resource_ids: The web services.
        for_jobs: Whether jobs are to be paid, and not only updates.
    """
    wanted = {resource_id.lower() for resource_id in resource_ids}
    subscriptions = sorted({resource_id.split("/")[2] for resource_id in wanted})
    found = await asyncio.gather(
        *(_of_subscription(definitions, each, wanted, for_jobs=for_jobs) for each in subscriptions)
    )
    return Payers(
        {service: payer for one in found for service, payer in one.of.items()},
        tuple(check for one in found for check in one.checks),
    )


async def _of_subscription(definitions: Definitions, subscription: str, wanted: set[str], *, for_jobs: bool) -> Payers:
    subject = f"subscription {subscription}"
    try:
        plans = [
            plan for plan in await list_plans(definitions, subscription) if plan.stops or (for_jobs and _is_low(plan))
        ]
        lists = await asyncio.gather(*(services_of(definitions, plan) for plan in plans[:_LISTS_ASKED]))
    except (ServiceError, MissingSecret) as error:
        text = f"the remaining quota of its commitment plans is unknown: {error}"
        return Payers({}, (Check(name="commitment-plan", subject=subject, outcome=CheckOutcome.UNKNOWN, text=text),))
    return Payers(
        {
            service: _payer(plan)
            for plan, services in zip(plans[:_LISTS_ASKED], lists, strict=True)
            for service in services & wanted
        }
    )


async def ask_standings(
    definitions: Definitions, plans: frozenset[str]
) -> tuple[dict[str, CommitmentPlanState | None], list[Check]]:
    """Return the commitment plans of these ids, None for one that there is not; and what could not be asked.

    One list of plans a subscription, and one of services a plan.
    """
    standings: dict[str, CommitmentPlanState | None] = {}
    checks: list[Check] = []

    async def one(subscription: str) -> None:
        wanted = {plan for plan in plans if plan.split("/")[2].lower() == subscription}
        try:
            listed = {plan.id.lower(): plan for plan in await list_plans(definitions, subscription)}
            found = {plan_id: listed.get(plan_id.lower()) for plan_id in wanted}
            there = {plan_id: plan for plan_id, plan in found.items() if plan is not None}
            counts = await asyncio.gather(*(services_of(definitions, plan) for plan in there.values()))
        except (ServiceError, MissingSecret) as error:
            text = f"unknown whether its commitment plans can pay for more: {error}"
            subject = f"subscription {subscription}"
            checks.append(Check(name="commitment-plan", subject=subject, outcome=CheckOutcome.UNKNOWN, text=text))
            return
        standings.update(dict.fromkeys(wanted))
        for (plan_id, plan), services in zip(there.items(), counts, strict=True):
            standings[plan_id] = CommitmentPlanState(_payer(plan), plan.location, len(services), plan.most_services)

    await asyncio.gather(*(one(each) for each in sorted({plan.split("/")[2].lower() for plan in plans})))
    return standings, checks


def _is_low(plan: CommitmentPlan) -> bool:
    return any(
        quantity is not None and quantity.left < quantity.allowance * NEARLY_USED_UP
        for quantity in (plan.hours, plan.transactions)
    )


def _payer(plan: CommitmentPlan) -> CommitmentPlanUsage:
    return CommitmentPlanUsage(
        name=plan.name,
        sku=plan.sku,
        stops=plan.stops,
        hours=_figures(plan.hours),
        transactions=_figures(plan.transactions),
        refill_days=plan.refill_days,
        created=plan.created,
    )


def _figures(quantity: Quantity | None) -> tuple[float, float] | None:
    return None if quantity is None else (quantity.left, quantity.allowance)
