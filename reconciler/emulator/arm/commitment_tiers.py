"""What the SKUs of commitment plans include (new-protocol 5).

Recorded for S1 and S2. S3 and DevTest have the figures of Microsoft's price list, and their meters are made up [I]. The
figures are those of the tier, whatever the capacity of a plan [O].
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.errors import bad_request
from reconciler.emulator.execution.wire_format import member

RESOURCE_TYPE = "Microsoft.MachineLearning/commitmentPlans"
HOURS = "machineLearningWebServiceComputeHours"
TRANSACTIONS = "machineLearningWebServiceTransactions"
INCLUDED_METERS = {
    HOURS: "29187de1-b4a1-4503-a6f6-078271b3fc9d",
    TRANSACTIONS: "303743b6-4cd0-44df-8ec2-a93c8f14943b",
}
REFILL_DAYS = 30


@dataclass(frozen=True)
class Tier:
    """What a SKU of a plan includes, and its Azure meters."""

    name: str
    tier: str
    hours: float
    transactions: float
    plan_meter: str
    hours_meter: str
    transactions_meter: str
    max_capacity: int = 10
    charged: bool = True

    @property
    def allowances(self) -> dict[str, float]:
        """What flows into the plan each time that it is refilled, by quantity."""
        return {HOURS: self.hours, TRANSACTIONS: self.transactions}


def _made_up(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


TIERS: Mapping[str, Tier] = {
    tier.name.lower(): tier
    for tier in (
        Tier(
            "DevTest",
            "DevTest",
            2.0,
            1_000.0,
            _made_up("DevTest", "plan"),
            _made_up("DevTest", "hours"),
            _made_up("DevTest", "transactions"),
            max_capacity=1,
            charged=False,
        ),
        Tier(
            "S1",
            "Standard",
            25.0,
            100_000.0,
            "4a5a4b83-6216-47c5-b3db-fe430fa6e2c3",
            "842f92f7-a46b-4522-ac62-8134271dc591",
            "c906e161-98b8-41b1-81e2-b59e0b263740",
        ),
        Tier(
            "S2",
            "Standard",
            500.0,
            2_000_000.0,
            "0242cdc7-456a-4024-a1d5-f00b54f37b76",
            "e5921380-3088-471a-ae87-a47cc97e98dc",
            "96328029-e3da-49d7-bba1-48ef64f13ff1",
        ),
        Tier(
            "S3",
            "Standard",
            12_500.0,
            50_000_000.0,
            _made_up("S3", "plan"),
            _made_up("S3", "hours"),
            _made_up("S3", "transactions"),
        ),
    )
}


def catalogue(locations: list[str]) -> Json:
    """Return the SKUs that plans can have."""
    return {
        "value": [
            {
                "resourceType": RESOURCE_TYPE,
                "name": tier.name,
                "tier": tier.tier,
                "locations": locations,
                "capacity": {"minimum": 1, "maximum": tier.max_capacity, "default": 1, "scaleType": "Manual"},
                "capabilities": [
                    {"name": quantity, "value": f"{allowance:g}"} for quantity, allowance in tier.allowances.items()
                ],
                "costs": [{"meterID": tier.plan_meter, "quantity": 1, "extendedUnit": f"{REFILL_DAYS} days"}],
                "restrictions": [],
            }
            for tier in TIERS.values()
        ]
    }


def sku_of(body: Mapping[str, Any], current: tuple[str, int] | None) -> tuple[str, int]:
    """Return the name and capacity that a request gives a plan.

    Args:
        body: of the request.
        current: what the plan has; what the request leaves out stays so. None for a PUT.

    Raises:
        ArmError: 400 for a SKU that there is not; its inner code is [I].
    """
    given = member(body, "sku")
    if given is None and current is not None:
        return current
    name, capacity = member(given, "name"), member(given, "capacity")
    if current is not None:
        name = current[0] if name is None else name
        capacity = current[1] if capacity is None else capacity
    tier = TIERS.get(str(name).lower())
    wanted = str(member(given, "tier") or (tier.tier if tier else ""))
    if tier is None or tier.tier.lower() != wanted.lower():
        known = ", ".join(f"{one.name} ({one.tier})" for one in TIERS.values())
        raise bad_request("InvalidSku", f"The sku '{name}' ('{wanted}') is not one of {known}.")
    # PowerShell sends the capacity as text.
    if isinstance(capacity, str) and capacity.isdecimal():
        capacity = int(capacity)
    capacity = 1 if capacity is None else capacity
    if not isinstance(capacity, int) or isinstance(capacity, bool) or not 1 <= capacity <= tier.max_capacity:
        limits = f"from 1 to {tier.max_capacity}"
        raise bad_request("InvalidSkuCapacity", f"The capacity of the sku '{tier.name}' is a whole number {limits}.")
    return tier.name, capacity
