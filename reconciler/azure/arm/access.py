"""What Resource Manager says of the caller: which subscriptions it sees, and what it may do on a scope."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from reconciler.azure.arm.web_services import Definitions

_PERMISSIONS_VERSION = "2015-07-01"
_RESOURCES_VERSION = "2021-04-01"
PROVIDER = "Microsoft.MachineLearning"


@dataclass(frozen=True, slots=True)
class Permission:
    """What one role lets the caller do; a star stands for any text."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity in a token; empty where it names none, or cannot be read."""

    tenant: str = ""
    name: str = ""


async def permissions(definitions: Definitions, scope: str) -> tuple[Permission, ...]:
    """All that the caller may do on a resource group or a resource (Permissions - List For Resource Group).

    Raises:
        SignInError: asking this takes a permission of its own, ``Microsoft.Authorization/permissions/read``.
        ServiceError: as `Definitions.get`.
    """
    path = f"{scope.rstrip('/')}/providers/Microsoft.Authorization/permissions"
    listed = await definitions.read_all(path, _PERMISSIONS_VERSION, f"list the permissions on {scope}")
    return tuple(Permission(_texts(item.get("actions")), _texts(item.get("notActions"))) for item in listed)


async def subscription(definitions: Definitions, subscription_id: str) -> tuple[str, str]:
    """Return a subscription's display name and its state, as in ``Enabled``.

    Raises:
        NotFound, SignInError: there is none, or the caller has no role in it.
        ServiceError: as `Definitions.get`.
    """
    operation = f"get subscription {subscription_id}"
    found = await definitions.read(f"/subscriptions/{subscription_id}", _RESOURCES_VERSION, operation)
    return str(found.get("displayName") or ""), str(found.get("state") or "")


async def provider_state(definitions: Definitions, subscription_id: str) -> str:
    """Whether the subscription knows Microsoft.MachineLearning: ``Registered`` if all is well.

    Raises:
        Retired: Resource Manager itself knows no such provider.
        ServiceError: as `Definitions.get`.
    """
    path = f"/subscriptions/{subscription_id}/providers/{PROVIDER}"
    found = await definitions.read(path, _RESOURCES_VERSION, f"get provider {PROVIDER}")
    return str(found.get("registrationState") or "")


def caller_of(token: SecretStr) -> Caller:
    """Who an access token is for. Its signature is not checked: that is the service's to do."""
    parts = token.get_secret_value().split(".")
    if len(parts) != 3:
        return Caller()
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return Caller()
    if not isinstance(claims, Mapping):
        return Caller()
    # A person, else an application, by the claims of version 2.0 or 1.0 tokens.
    name = next((claims[claim] for claim in ("upn", "unique_name", "appid", "azp") if claims.get(claim)), "")
    return Caller(str(claims.get("tid") or ""), str(name))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else ()
