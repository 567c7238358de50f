"""Subscriptions and resource groups: as much of ``Microsoft.Resources`` as stands around a web service.

Documents of the collection ``subscriptions`` by GUID, and of ``resourceGroups`` by ``{GUID}/{name in lower case}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.errors import ArmError, invalid_json, resource_group_not_found, subscription_not_found
from reconciler.emulator.documents import Documents
from reconciler.emulator.execution.wire_format import member

VERSIONS = (
    "2016-06-01",
    "2016-09-01",
    "2018-05-01",
    "2019-10-01",
    "2020-06-01",
    "2020-10-01",
    "2021-01-01",
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2024-03-01",
    "2024-11-01",
    "2025-04-01",
)
"""Versions that clients in use ask for; all are answered in the same way."""


class ResourceGroups:
    """The subscriptions of an emulator and their resource groups."""

    def __init__(self, documents: Documents) -> None:
        self._subscriptions = documents.collection("subscriptions")
        self._groups = documents.collection("resourceGroups")

    def add_subscription(self, subscription: str) -> None:
        """Make a subscription if it does not exist."""
        if subscription.lower() not in self._subscriptions:
            self._subscriptions[subscription.lower()] = {"displayName": f"Local Studio {subscription[:8]}"}

    def subscriptions(self) -> list[Json]:
        """Return every subscription."""
        return [self.subscription(key) for key in self._subscriptions]

    def subscription(self, subscription: str) -> Json:
        """Return a subscription that exists."""
        key = subscription.lower()
        return {
            "id": f"/subscriptions/{key}",
            "subscriptionId": key,
            "displayName": self._subscriptions[key]["displayName"],
            "state": "Enabled",
        }

    def check_subscription(self, subscription: str) -> None:
        """Raise the 404 of ARM for a subscription that does not exist."""
        if subscription.lower() not in self._subscriptions:
            raise subscription_not_found(subscription)

    def check_group(self, subscription: str, name: str) -> None:
        """Raise the 404 of ARM for a resource group that does not exist."""
        if _key(subscription, name) not in self._groups:
            raise resource_group_not_found(name)

    def list(self, subscription: str) -> list[Json]:
        """Return every resource group of a subscription."""
        start = _key(subscription, "")
        return [_view(group) for key, group in self._groups.items() if key.startswith(start)]

    def get(self, subscription: str, name: str) -> Json:
        """Return one resource group.

        Raises:
            ArmError: 404, if there is none.
        """
        self.check_group(subscription, name)
        return _view(self._groups[_key(subscription, name)])

    def put(self, subscription: str, name: str, body: Mapping[str, Any]) -> tuple[Json, bool]:
        """Make or update a resource group.

        Returns:
            The group, and whether it is new.

        Raises:
            ArmError: 400 or 409, saying what is wrong.
        """
        location = member(body, "location")
        if not isinstance(location, str) or not location:
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
        location = location.replace(" ", "").lower()
        tags = member(body, "tags")
        if tags is not None and not isinstance(tags, dict):
            raise invalid_json("tags must be an object")
        key = _key(subscription, name)
        before = self._groups.get(key)
        if before is not None and before["location"] != location:
            raise ArmError(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in location "
                f"'{before['location']}'.",
            )
        self._groups[key] = {
            "subscription": subscription.lower(),
            "name": name if before is None else before["name"],
            "location": location,
            "tags": tags,
        }
        return _view(self._groups[key]), before is None


def _key(subscription: str, name: str) -> str:
    return f"{subscription.lower()}/{name.lower()}"


def _view(group: Mapping[str, Any]) -> Json:
    body: Json = {
        "id": f"/subscriptions/{group['subscription']}/resourceGroups/{group['name']}",
        "name": group["name"],
        "type": "Microsoft.Resources/resourceGroups",
        "location": group["location"],
        "properties": {"provisioningState": "Succeeded"},
    }
    if group["tags"] is not None:
        body["tags"] = group["tags"]
    return body
