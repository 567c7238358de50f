"""Looks whether the cloud's sign-in works, and who is signed in."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import SecretStr

from reconciler.azure.arm.access import Caller, caller_of
from reconciler.azure.errors import ServiceError
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.preflight.vaults import uses_vaults
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.clients import Clients


async def check_sign_in(clients: Clients, is_silent: Callable[[str], bool]) -> Check:
    """Return whether the sign-in gives a token; skipped where nothing needs one, or it could not be used."""
    cloud = clients.cloud
    subject = f"cloud {cloud.name}"
    skipped = ""
    if not (clients.needs_resource_manager or uses_vaults(clients.fleet)):
        skipped = "no spec needs Azure Resource Manager or a Key Vault"
    elif clients.needs_resource_manager and is_silent(cloud.resource_manager_url):
        skipped = "Azure Resource Manager does not answer"
    if skipped:
        return Check(name="sign-in", subject=subject, outcome=CheckOutcome.SKIPPED, text=skipped)
    try:
        token = await clients.sign_in.get_token(cloud.scope)
    except (ServiceError, MissingSecret) as error:
        return _failed("sign-in", subject, str(error), _remedy(str(error)))
    return _signed_in(clients, caller_of(SecretStr(token.token)))


_REMEDIES = {
    "AADSTS90002": "Correct the tenant: signIn.tenantId of the cloud file, or AZURE_TENANT_ID",
    "AADSTS900023": "Correct the tenant: signIn.tenantId of the cloud file, or AZURE_TENANT_ID",
    "AADSTS700016": "Correct the client id or the tenant: the tenant has no such application",
    "AADSTS7000215": "Correct the client secret: use its value, not its id",
    "AADSTS7000222": "The client secret has expired: create a new one",
    "AADSTS700027": "Correct the client certificate: the application does not have it",
    "AADSTS7000112": "Enable the application again",
}
"""What to do about an answer of the identity platform (its documentation, "Error codes for debugging")."""


def _remedy(message: str) -> str:
    code = re.search(r"AADSTS\d+", message)
    return _REMEDIES.get(code.group(), "") if code else ""


def _signed_in(clients: Clients, caller: Caller) -> Check:
    cloud = clients.cloud
    subject = f"cloud {cloud.name}"
    if not caller.tenant:
        return Check(
            name="sign-in",
            subject=subject,
            outcome=CheckOutcome.OK,
            text="signed in; the token does not name the identity",
        )
    if cloud.tenant_id is not None and cloud.tenant_id.lower() != caller.tenant.lower():
        text = f"signed in to tenant {caller.tenant}, but the cloud file names {cloud.tenant_id}"
        return _failed("sign-in", subject, text, "Correct signIn.tenantId or the credentials")
    text = f"signed in as {caller.name} of tenant {caller.tenant}"
    return Check(name="sign-in", subject=subject, outcome=CheckOutcome.OK, text=text)


def _failed(name: str, subject: str, text: str, remedy: str = "") -> Check:
    return Check(name=name, subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)
