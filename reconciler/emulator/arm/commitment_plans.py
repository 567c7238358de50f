"""Commitment plans, and which web services they pay for (new-protocol 5).

Documents of the collection ``commitmentPlans`` by resource id in lower case, and of ``commitmentAssociations`` by the
resource id of the web service in lower case: a service has one plan or none, and `move` gives it another.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from reconciler.emulator.arm.commitment_tiers import (
    HOURS,
    INCLUDED_METERS,
    REFILL_DAYS,
    RESOURCE_TYPE,
    TIERS,
    TRANSACTIONS,
    Tier,
    sku_of,
)
from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.errors import ArmError, bad_request, conflict, resource_not_found
from reconciler.emulator.arm.proposals import known_location, tags_of
from reconciler.emulator.arm.web_services import WebService, timestamp
from reconciler.emulator.config.regions import region_code
from reconciler.emulator.documents import Documents
from reconciler.emulator.execution.wire_format import member

ASSOCIATION_TYPE = f"{RESOURCE_TYPE}/commitmentAssociations"
COLLECTION = "commitmentPlans"
VERSIONS = ("2016-05-01-preview",)

_USAGE_DAYS_KEPT = 90


@dataclass(frozen=True)
class Plan:
    """A commitment plan; ``location`` is the region's code, as in the recordings.

    ``used`` is the share of the included quantities that is used up until the plan is refilled.
    """

    id: str
    name: str
    location: str
    tags: dict[str, str]
    sku: str
    capacity: int
    created_on: str
    etag: str
    used: float = 0.0

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the plan of a document of the collection."""
        return cls(**document)

    @property
    def tier(self) -> Tier:
        """The plan's SKU."""
        return TIERS[self.sku.lower()]


@dataclass(frozen=True)
class Association:
    """A web service that a plan pays for."""

    name: str
    plan: str
    resource: str
    created_on: str
    etag: str

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the association of a document of the collection."""
        return cls(**document)


class CommitmentPlans:
    """The plans of an emulator.

    Args:
        documents: where they are kept.
        clock: the time now.
        new_id: 32 hex digits that never repeat, for etags.
        most_associations: how many web services one plan can have.
    """

    def __init__(
        self, documents: Documents, clock: Callable[[], datetime], new_id: Callable[[], str], most_associations: int
    ) -> None:
        self._documents = documents
        self.plans = documents.collection(COLLECTION)
        self._associations = documents.collection("commitmentAssociations")
        self._clock = clock
        self._new_id = new_id
        self._most = most_associations

    # -- plans ---------------------------------------------------------------------------------------------------------

    def find(self, plan_id: str) -> Plan | None:
        """Return the plan of that resource id, in any casing."""
        document = self.plans.get(plan_id.lower())
        return None if document is None else Plan.from_document(document)

    def get(self, plan_id: str) -> Plan:
        """Return the plan of that resource id.

        Raises:
            ArmError: 404, if there is none.
        """
        plan = self.find(plan_id)
        if plan is None:
            raise resource_not_found(RESOURCE_TYPE, plan_id)
        return plan

    def put(self, plan_id: str, body: Mapping[str, Any], if_match: str | None) -> Plan:
        """Make a plan, or overwrite one.

        Raises:
            ArmError: 400, 409 or 412, saying what is wrong.
        """
        current = self.find(plan_id)
        self._check_etag(current, body, if_match)
        location = region_code(known_location(body, RESOURCE_TYPE))
        if current is not None and current.location != location:
            raise ArmError(
                409,
                "InvalidResourceLocation",
                f"The resource '{current.name}' already exists in location '{current.location}'. A resource with the "
                f"same name cannot be created in location '{location}'. Please select a new resource name.",
            )
        sku, capacity = sku_of(body, None)
        if current is None:
            return self.make(plan_id, location, sku, capacity, tags_of(body))
        return self._write(replace(current, tags=tags_of(body) or {}, sku=sku, capacity=capacity))

    def make(
        self,
        plan_id: str,
        location: str,
        sku: str,
        capacity: int,
        tags: dict[str, str] | None = None,
        *,
        used: float = 0.0,
    ) -> Plan:
        """Make a plan, whose members have been checked; `location` is a region's code."""
        name, now = plan_id.rpartition("/")[2], timestamp(self._clock())
        return self._write(Plan(plan_id, name, location, tags or {}, sku, capacity, now, etag="", used=used))

    def patch(self, plan_id: str, body: Mapping[str, Any], if_match: str | None) -> Plan:
        """Change tags and SKU of a plan, the only things of it that can be changed.

        Raises:
            ArmError: 400, 404 or 412, saying what is wrong.
        """
        current = self.get(plan_id)
        self._check_etag(current, body, if_match)
        tags = tags_of(body)
        sku, capacity = sku_of(body, (current.sku, current.capacity))
        return self._write(replace(current, tags=current.tags if tags is None else tags, sku=sku, capacity=capacity))

    def delete(self, plan_id: str, if_match: str | None) -> bool:
        """Delete a plan that pays for nothing.

        Returns:
            Whether there was one.

        Raises:
            ArmError: 409, if it has associations; 412.
        """
        current = self.find(plan_id)
        if current is None:
            return False
        self._check_etag(current, {}, if_match)
        users = sum(1 for _ in self.associations(current))
        if users:
            raise conflict(
                "CommitmentPlanInUse",
                f"The commitment plan '{current.name}' is in use by {users} web services; move or delete them first.",
            )
        del self.plans[current.id.lower()]
        return True

    def _write(self, plan: Plan) -> Plan:
        written = replace(plan, etag=self._etag())
        self.plans[plan.id.lower()] = asdict(written)
        return written

    def _etag(self) -> str:
        # As recorded: a counter at the start, the seconds since 1970 at the end.
        return f"{self._new_id()[:8]}-0000-0000-0000-{int(self._clock().timestamp()):08x}0000"

    @staticmethod
    def _check_etag(current: Plan | None, body: Mapping[str, Any], if_match: str | None) -> None:
        """Refuse a write with an old etag; that this is what etags are for is specified, the reply is inferred [I]."""
        wanted = if_match.strip().strip('"') if if_match else member(body, "etag")
        if wanted and wanted != "*" and (current is None or current.etag != wanted):
            raise ArmError(412, "PreconditionFailed", "The etag is not the one of the commitment plan as it is now.")

    def view(self, plan: Plan) -> Json:
        """Return what is shown of a plan, in the order of the recordings."""
        tier = plan.tier
        overage = {HOURS: tier.hours_meter, TRANSACTIONS: tier.transactions_meter}
        # 0.0 right after the creation, in the recordings of 2017: it is what the last calculation of usage left.
        calculated = self._days(plan) > 0 or plan.used > 0
        return {
            "etag": plan.etag,
            "id": plan.id,
            "location": plan.location,
            "name": plan.name,
            "properties": {
                "chargeForOverage": tier.charged,
                "chargeForPlan": tier.charged,
                "creationDate": plan.created_on,
                "includedQuantities": {
                    quantity: {
                        "allowance": allowance,
                        "amount": allowance * (1 - plan.used) if calculated else 0.0,
                        "includedQuantityMeter": INCLUDED_METERS[quantity],
                        "overageMeter": overage[quantity],
                    }
                    for quantity, allowance in tier.allowances.items()
                },
                "maxAssociationLimit": self._most,
                "maxCapacityLimit": tier.max_capacity,
                "minCapacityLimit": 1,
                "planMeter": tier.plan_meter,
                "refillFrequencyInDays": REFILL_DAYS,
                "suspendPlanOnOverage": not tier.charged,
            },
            "sku": {"capacity": plan.capacity, "name": tier.name, "tier": tier.tier},
            "tags": plan.tags,
            "type": RESOURCE_TYPE,
        }

    def usage_history(self, plan: Plan) -> list[Json]:
        """Return a day of usage for each whole day of the plan's life, the latest first.

        Nothing is ever used here [I] but what the studio file says, which no day shows.
        """
        full, none = plan.tier.allowances, dict.fromkeys(plan.tier.allowances, 0.0)
        created = datetime.fromisoformat(plan.created_on)
        days = self._days(plan)
        return [
            {
                "planDeletionOverage": none,
                "planMigrationOverage": none,
                "planQuantitiesAfterUsage": full,
                "planQuantitiesBeforeUsage": full,
                "planUsageOverage": none,
                "usage": none,
                "usageDate": timestamp(created + timedelta(days=day)),
            }
            for day in range(days, max(0, days - _USAGE_DAYS_KEPT), -1)
        ]

    def _days(self, plan: Plan) -> int:
        return (self._clock() - datetime.fromisoformat(plan.created_on)).days

    # -- associations --------------------------------------------------------------------------------------------------

    def plan_of(self, service_id: str) -> str | None:
        """Return the id of the plan that pays for a web service."""
        document = self._associations.get(service_id.lower())
        return None if document is None else str(document["plan"])

    def associations(self, plan: Plan) -> Iterator[Association]:
        """Return the web services that a plan pays for."""
        for document in self._associations.values():
            if document["plan"].lower() == plan.id.lower():
                yield Association.from_document(document)

    def association(self, plan: Plan, name: str) -> Association:
        """Return the association of that name.

        Raises:
            ArmError: 404, if the plan has none.
        """
        for association in self.associations(plan):
            if association.name.lower() == name.lower():
                return association
        raise resource_not_found(ASSOCIATION_TYPE, f"{plan.id}/commitmentAssociations/{name}", f"{plan.name}/{name}")

    def check_usable(self, plan_id: str, location: str) -> Plan:
        """Return the plan of that id, if a web service at `location` can have it. The refusals are inferred [I].

        Raises:
            ArmError: 400, if there is no such plan, it is in another region (plans are region-specific), or is full.
        """
        plan = self.find(plan_id)
        if plan is None:
            raise bad_request("CommitmentPlanNotFound", f"The commitment plan '{plan_id}' could not be found.")
        if plan.location != region_code(location):
            raise bad_request(
                "CommitmentPlanRegionMismatch",
                f"The commitment plan '{plan.name}' is in '{plan.location}', and the web service in "
                f"'{region_code(location)}'.",
            )
        if sum(1 for _ in self.associations(plan)) >= self._most:
            raise bad_request(
                "CommitmentPlanAssociationLimitReached",
                f"The commitment plan '{plan.name}' has {self._most} associations, which is its limit.",
            )
        return plan

    def associate(self, service: WebService, plan: Plan) -> None:
        """Make a plan pay for a web service."""
        # The name is in no recording; the service's own id is as unique as it must be [I].
        association = Association(
            name=str(uuid.UUID(service.service)),
            plan=plan.id,
            resource=service.id,
            created_on=timestamp(self._clock()),
            etag=self._etag(),
        )
        self._associations[service.id.lower()] = asdict(association)

    def dissociate(self, service: WebService) -> None:
        """End the association of a web service that is deleted."""
        self._associations.pop(service.id.lower(), None)

    def move(self, plan: Plan, name: str, body: Mapping[str, Any]) -> Json:
        """Give a web service another plan.

        Returns:
            The association as it is now.

        Raises:
            ArmError: 400 or 404, saying what is wrong.
        """
        association = self.association(plan, name)
        destination_id = member(body, "destinationPlanId")
        if not isinstance(destination_id, str) or not destination_id:
            raise bad_request("DestinationPlanRequired", "destinationPlanId is required.")
        if destination_id.lower() == plan.id.lower():
            return self.association_view(association)
        destination = self.check_usable(destination_id, plan.location)
        moved = replace(association, plan=destination.id, etag=self._etag())
        self._associations[association.resource.lower()] = asdict(moved)
        return self.association_view(moved)

    def association_view(self, association: Association) -> Json:
        """Return what is shown of an association; the order is that of a plan [I]."""
        plan = self.find(association.plan)
        return {
            "etag": association.etag,
            "id": f"{association.plan}/commitmentAssociations/{association.name}",
            "location": "" if plan is None else plan.location,
            "name": association.name,
            "properties": {
                "associatedResourceId": association.resource,
                "commitmentPlanId": association.plan,
                "creationDate": association.created_on,
            },
            "type": ASSOCIATION_TYPE,
        }
