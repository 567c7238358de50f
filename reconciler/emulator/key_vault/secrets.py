"""The content of the Key Vaults: secrets in versions, each change of a value a new one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.emulator.config.vaults import HeldSecret, KeyVault, SecretVersion
from reconciler.emulator.context import Context


@dataclass(frozen=True)
class StoredVersion:
    """A version of a secret; times are in whole seconds since 1970, as a vault gives them.

    ``held``: it is one of the emulator's own, and nobody has written it.
    """

    id: str
    value: str = field(repr=False)
    created: int
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    content_type: str | None = None
    tags: dict[str, str] | None = None
    held: bool = False


class VaultSecrets:
    """The secrets of all vaults of an emulator; they are kept with its state."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._vaults = {vault.name: vault for vault in context.studio.key_vaults}
        self._documents = context.documents.collection("vaultSecrets")

    def vault(self, name: str | None) -> KeyVault | None:
        """Return the vault of that name; the first one if no name is given."""
        return next(iter(self._vaults.values()), None) if name is None else self._vaults.get(name)

    def find(self, vault: str, name: str, version: str = "") -> StoredVersion | None:
        """Return a version of a secret, the current one if none is named; letter case does not matter."""
        versions = self._versions(vault, name)
        if not version:
            return versions[-1] if versions else None
        return next((each for each in versions if each.id == version.lower()), None)

    def add(self, vault: str, name: str, version: StoredVersion) -> None:
        """Make a version the current one of a secret, which need not exist."""
        self._keep(vault, name, [*self._versions(vault, name), version])

    def new_version(self, value: str, **attributes: Any) -> StoredVersion:
        """Return a version that begins now."""
        return StoredVersion(self._context.new_id(), value, int(self._context.clock().timestamp()), **attributes)

    def seed(self) -> None:
        """Fill the vaults at the first start; later on, only the emulator's own secrets in them are brought up to date.

        A connection string names a port, which a restart may change.
        """
        for vault in self._vaults.values():
            for secret in vault.secrets:
                if not self._versions(vault.name, secret.name):
                    written = [self._seeded(each) for each in (*secret.earlier, secret)]
                    self._keep(vault.name, secret.name, written)
        self.take_over(written_over=False)

    def take_over(self, *, written_over: bool = True) -> None:
        """Give each vault secret that holds a secret of the emulator a new version, if that has changed.

        Args:
            written_over: Also those that somebody has written something else to.
        """
        for vault in self._vaults.values():
            for secret in vault.secrets:
                current = self.find(vault.name, secret.name)
                if secret.holds is None or current is None or not (current.held or written_over):
                    continue
                value = self._held(secret.holds)
                if value != current.value:
                    self.add(vault.name, secret.name, self.new_version(value, enabled=current.enabled, held=True))

    def _held(self, holds: HeldSecret) -> str:
        if holds.workspace_token is not None:
            return self._context.secrets.workspace_token(holds.workspace_token)
        return self._context.storage.connection_string(holds.connection_string or "", self._context.server_url)

    def _seeded(self, version: SecretVersion) -> StoredVersion:
        value = version.value or ("" if version.holds is None else self._held(version.holds))
        made = self.new_version(
            value or secrets.token_urlsafe(30),
            enabled=version.enabled,
            not_before=seconds(version.not_before),
            expires=seconds(version.expires),
            held=version.holds is not None,
        )
        return made if version.id is None else StoredVersion(**{**vars(made), "id": version.id})

    def _versions(self, vault: str, name: str) -> list[StoredVersion]:
        found = self._documents.get(_key(vault, name))
        return [] if found is None else [StoredVersion(**each) for each in found["versions"]]

    def _keep(self, vault: str, name: str, versions: Sequence[StoredVersion]) -> None:
        self._documents[_key(vault, name)] = {"versions": [vars(each) for each in versions]}


def _key(vault: str, name: str) -> str:
    return f"{vault}/{name.lower()}"


def seconds(time: datetime | None) -> int | None:
    """Return a time as a vault writes it."""
    return None if time is None else int(time.timestamp())
