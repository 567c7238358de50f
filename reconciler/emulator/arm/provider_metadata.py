"""What Azure Resource Manager shows of the provider: its resource types, their versions, its operations.

The recorded description of 2016 also has ``Workspaces``; they are left out, as nothing here answers for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.emulator.arm import commitment_plans
from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.definition_versions import WEB_SERVICE_VERSIONS
from reconciler.emulator.config.regions import REGIONS

PROVIDER = "Microsoft.MachineLearning"


@dataclass(frozen=True)
class ResourceType:
    """A type of the provider, with the versions of its contract, the latest first.

    Attributes:
        name: as it is spelled.
        versions: values of ``api-version``.
        listed: whether the description of the provider has it.
    """

    name: str
    versions: tuple[str, ...]
    listed: bool = True

    @property
    def full_name(self) -> str:
        """The type's name with its namespace."""
        return f"{PROVIDER}/{self.name}"


_BOTH = tuple(reversed(WEB_SERVICE_VERSIONS))
RESOURCE_TYPES: Mapping[str, ResourceType] = {
    one.name.lower(): one
    for one in (
        ResourceType("webServices", _BOTH),
        ResourceType("locations", _BOTH),
        ResourceType("locations/operations", _BOTH),
        ResourceType("locations/operationsStatus", _BOTH),
        ResourceType("commitmentPlans", commitment_plans.VERSIONS),
        ResourceType("operations", _BOTH, listed=False),
        ResourceType("skus", commitment_plans.VERSIONS, listed=False),
    )
}
"""By name in lower case."""

_OPERATIONS = (
    ("register/action", "Resource provider", "Register", "Registers the subscription with the provider"),
    ("webServices/read", "Web service", "Get", "Reads a web service, its keys, or a list of them"),
    ("webServices/write", "Web service", "Create or update", "Creates or updates a web service"),
    ("webServices/delete", "Web service", "Delete", "Deletes a web service"),
    ("webServices/action", "Web service", "Create regional properties", "Prepares a web service for another region"),
    ("commitmentPlans/read", "Commitment plan", "Get", "Reads a commitment plan, or a list of them"),
    ("commitmentPlans/write", "Commitment plan", "Create or update", "Creates or updates a commitment plan"),
    ("commitmentPlans/delete", "Commitment plan", "Delete", "Deletes a commitment plan"),
    ("commitmentPlans/join/action", "Commitment plan", "Join", "Gives a web service a commitment plan"),
    (
        "commitmentPlans/commitmentAssociations/read",
        "Commitment association",
        "Get",
        "Reads which web services a commitment plan pays for",
    ),
    (
        "commitmentPlans/commitmentAssociations/move/action",
        "Commitment association",
        "Move",
        "Gives a web service another commitment plan",
    ),
)


def operations() -> Json:
    """Return the operations of the provider; their names are those of Microsoft's list of permissions."""
    return {
        "value": [
            {
                "name": f"{PROVIDER}/{name}",
                "display": {
                    "provider": "Microsoft Machine Learning",
                    "resource": resource,
                    "operation": operation,
                    "description": description,
                },
            }
            for name, resource, operation, description in _OPERATIONS
        ]
    }


def description(subscription: str) -> Json:
    """Return the provider as a subscription has it: registered [O]."""
    return {
        "id": f"/subscriptions/{subscription}/providers/{PROVIDER}",
        "namespace": PROVIDER,
        "resourceTypes": [
            {
                "resourceType": one.name,
                "locations": list(REGIONS),
                "apiVersions": list(one.versions),
                "capabilities": "None",
            }
            for one in RESOURCE_TYPES.values()
            if one.listed
        ],
        "registrationState": "Registered",
    }
