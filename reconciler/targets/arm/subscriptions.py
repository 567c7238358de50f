"""Looks at subscriptions of Azure Resource Manager: are they seen, are they enabled, is the provider registered."""

from __future__ import annotations

from reconciler.azure.arm.access import PROVIDER, provider_state, subscription
from reconciler.azure.errors import Retired, ServiceError, SignInError
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.targets.clients import Clients


async def check_subscription(clients: Clients, subscription_id: str) -> list[Check]:
    """Return what there is to say of a subscription; if the first check failed, nothing in it can be seen."""
    subject = f"subscription {subscription_id}"
    try:
        name, state = await subscription(clients.definitions, subscription_id)
    except ServiceError as error:
        if not isinstance(error, SignInError):
            return [_failed("subscription", subject, str(error), "Correct the subscription in resourceId")]
        # To read the subscription itself is a role of its own; one on a group or a service does for the work.
        text = f"not readable for the signed-in identity ({error.status} {error.code}), which is not required"
        return [Check(name="subscription", subject=subject, outcome=CheckOutcome.UNKNOWN, text=text)]
    if state.lower() not in {"enabled", ""}:
        text = f"{name or 'the subscription'} is {state}"
        return [
            _failed("subscription", subject, text, "Enable the subscription again: nothing in it can be changed now")
        ]
    found = [
        Check(
            name="subscription",
            subject=subject,
            outcome=CheckOutcome.OK,
            text=f"{name or 'the subscription'} is {state or 'readable'}",
        )
    ]
    return [*found, await _provider(clients, subscription_id)]


async def _provider(clients: Clients, subscription_id: str) -> Check:
    subject = f"{PROVIDER} in subscription {subscription_id}"
    try:
        state = await provider_state(clients.definitions, subscription_id)
    except Retired as error:
        return _failed("retired", subject, error.message)
    except ServiceError as error:
        text = f"unknown whether it is registered: {error}"
        return Check(name="provider", subject=subject, outcome=CheckOutcome.UNKNOWN, text=text)
    if state.lower() != "registered":
        remedy = f"Register the provider: az provider register --namespace {PROVIDER}"
        return _failed("provider", subject, state or "not registered", remedy)
    return Check(name="provider", subject=subject, outcome=CheckOutcome.OK, text="registered")


def _failed(name: str, subject: str, text: str, remedy: str = "") -> Check:
    return Check(name=name, subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)
