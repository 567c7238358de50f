"""Commitment plans: what pays for New web services, and how much of it is left (new-protocol 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.azure.arm.web_services import Definitions

_VERSION = "2016-05-01-preview"
_HOURS = "machineLearningWebServiceComputeHours"
_TRANSACTIONS = "machineLearningWebServiceTransactions"


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a plan includes until it is refilled, and what of that is left."""

    allowance: float
    left: float


@dataclass(frozen=True, slots=True)
class CommitmentPlan:
    """A commitment plan.

    Attributes:
        id: Its resource id.
        name: Its name.
        location: Its region; it pays for web services of that region alone.
        sku: ``S1``, ``DevTest`` and the like.
        hours: Compute hours; None if it shows none.
        transactions: Calls and jobs; None if it shows none.
        stops: Whether its web services stop when a quantity is used up, instead of costing more.
        refill_days: After how many days it is refilled.
        most_services: How many web services it can have.
        created: When it was made.
    """

    id: str
    name: str
    location: str
    sku: str
    hours: Quantity | None
    transactions: Quantity | None
    stops: bool
    refill_days: int | None = None
    most_services: int | None = None
    created: datetime | None = None


async def list_plans(definitions: Definitions, subscription_id: str) -> tuple[CommitmentPlan, ...]:
    """All commitment plans of a subscription.

    Raises:
        ServiceError: as `Definitions.get`.
    """
    path = f"/subscriptions/{subscription_id}/providers/Microsoft.MachineLearning/commitmentPlans"
    listed = await definitions.read_all(path, _VERSION, f"list commitment plans of subscription {subscription_id}")
    return tuple(_plan(item) for item in listed if item.get("id"))


async def services_of(definitions: Definitions, plan: CommitmentPlan) -> frozenset[str]:
    """Return the lower-case resource ids of the web services that a commitment plan pays for (new-protocol 5).

    Raises:
        ServiceError: as `Definitions.get`.
    """
    operation = f"list the web services of commitment plan {plan.name}"
    listed = await definitions.read_all(f"{plan.id}/commitmentAssociations", _VERSION, operation)
    ids = (_mapping(item.get("properties")).get("associatedResourceId") for item in listed)
    return frozenset(str(resource_id).lower() for resource_id in ids if resource_id)


def _plan(item: Mapping[str, Any]) -> CommitmentPlan:
    properties = _mapping(item.get("properties"))
    quantities = _mapping(properties.get("includedQuantities"))
    return CommitmentPlan(
        id=str(item["id"]),
        name=str(item.get("name") or str(item["id"]).rpartition("/")[2]),
        location=str(item.get("location") or ""),
        sku=str(_mapping(item.get("sku")).get("name") or ""),
        hours=_quantity(quantities.get(_HOURS)),
        transactions=_quantity(quantities.get(_TRANSACTIONS)),
        stops=properties.get("suspendPlanOnOverage") is True,
        refill_days=_whole(properties.get("refillFrequencyInDays")),
        most_services=_whole(properties.get("maxAssociationLimit")),
        created=_time(properties.get("creationDate")),
    )


def _quantity(value: object) -> Quantity | None:
    allowance, left = (_mapping(value).get(name) for name in ("allowance", "amount"))
    if not isinstance(allowance, int | float) or not isinstance(left, int | float):
        return None
    return Quantity(float(allowance), float(left))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
