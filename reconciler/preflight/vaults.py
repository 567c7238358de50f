"""Which Key Vaults the secrets of a fleet are in."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.azure.errors import CloudError
from reconciler.spec.documents import SecretReference
from reconciler.spec.fleet import Fleet
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import Host


def vault_hosts(clients: Clients) -> list[Host]:
    """Return the vaults' hosts; one that is no vault of the cloud is told where its secret is asked for."""
    found: dict[str, Host] = {}
    for reference in _references(clients.fleet):
        if reference.key_vault is not None:
            vault = reference.key_vault.vault
            try:
                url = clients.cloud.key_vault_url(vault)
            except CloudError:
                continue
            found.setdefault(url, Host(url, f"Key Vault {vault}", own_authority=True))
    return list(found.values())


def uses_vaults(fleet: Fleet) -> bool:
    """Whether any secret is in a vault, which needs a sign-in."""
    return any(reference.key_vault is not None for reference in _references(fleet))


def _references(fleet: Fleet) -> Iterator[SecretReference]:
    for document in (*fleet.workspaces.values(), *fleet.targets):
        yield from (reference for _, reference in document.secrets())
    for model, label in fleet.wanted_versions():
        ready = fleet.models[model].spec.versions.get(label)
        if ready is not None and ready.location.sas_token is not None:
            yield ready.location.sas_token
