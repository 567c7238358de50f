"""The Key Vaults of a studio file, and the hosts that they have here.

A vault is a host of its own, ``NAME.vault.azure.net``, and so it is here: ``NAME.vault.localhost`` at the port that
speaks TLS. Names below ``localhost`` are this machine's (RFC 6761, 6.3). By address alone one reaches the first vault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, StringConstraints, model_validator

from reconciler.emulator.config.types import AccountName, Guid, Hex32, Section

DOMAIN = "vault.localhost"
AUDIENCE = "https://vault.azure.net"
"""Whom a token for a Key Vault of the public cloud is for (Key Vault documentation, "REST API error codes")."""
LARGEST_SECRET = 25 * 1024

SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]
VaultName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", min_length=3, max_length=24)]
Permission = Literal["get", "set"]


class HeldSecret(Section):
    """A secret of the emulator itself, which a vault keeps up to date whenever it is exchanged."""

    workspace_token: Hex32 | None = None
    connection_string: AccountName | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.workspace_token is None) == (self.connection_string is None):
            raise ValueError("give either workspaceToken or connectionString")
        return self


class SecretVersion(Section):
    """A version of a secret: of a value that is given, of the emulator's own, or of one that is made up."""

    id: Hex32 | None = None
    value: Annotated[str, StringConstraints(min_length=1, max_length=LARGEST_SECRET)] | None = None
    holds: HeldSecret | None = None
    enabled: bool = True
    not_before: AwareDatetime | None = None
    expires: AwareDatetime | None = None

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if self.value is not None and self.holds is not None:
            raise ValueError("give either value or holds")
        return self


class StoredSecret(SecretVersion):
    """A secret: its current version, and earlier ones, the oldest first."""

    name: SecretName
    earlier: tuple[SecretVersion, ...] = ()


class VaultAccess(Section):
    """An entry of a vault's access policy."""

    client_id: Guid
    secrets: tuple[Permission, ...] = ("get",)


class KeyVault(Section):
    """A Key Vault.

    Attributes:
        name: Unique in the world, and so in the file.
        location: What a refusal names.
        access: Who may do what; if it is left out, the file's first principal may do everything.
        secrets: What it holds when the emulator first starts.
    """

    name: VaultName
    location: str = "southcentralus"
    access: tuple[VaultAccess, ...] | None = None
    secrets: tuple[StoredSecret, ...] = ()


def held_secrets(key_vaults: Sequence[KeyVault]) -> list[HeldSecret]:
    """Return the emulator's own secrets that vaults keep."""
    versions = [each for vault in key_vaults for secret in vault.secrets for each in (*secret.earlier, secret)]
    return [each.holds for each in versions if each.holds is not None]


def dangling(key_vaults: Sequence[KeyVault], *, workspaces: set[str], clients: set[str]) -> Iterator[str]:
    """Return the names that vaults refer to and the studio file does not have."""
    tokens = {each.workspace_token for each in held_secrets(key_vaults) if each.workspace_token}
    yield from (f"Key Vault: unknown workspace {name!r}" for name in sorted(tokens - workspaces))
    named = {each.client_id for vault in key_vaults for each in vault.access or ()}
    yield from (f"Key Vault: unknown principal {name!r}" for name in sorted(named - clients))


def url_template(secure_url: str) -> str:
    """Return the URL of a vault, with a place for its name."""
    return f"https://{{name}}.{DOMAIN}:{urlsplit(secure_url).port}"


def vault_audiences(secure_url: str) -> tuple[str, str]:
    """Return the audiences of tokens that a vault accepts: the public cloud's, and the emulator's own."""
    return AUDIENCE, f"https://{DOMAIN}:{urlsplit(secure_url).port}"


def vault_of(host: str) -> str | None:
    """Return the name of the vault that a request's host stands for; None for any other host."""
    name = host.rpartition(":")[0] or host
    return name.lower().removesuffix(f".{DOMAIN}") if name.lower().endswith(f".{DOMAIN}") else None


def resource_of(host: str) -> str:
    """Return what a challenge names as the resource, which a client compares with the end of the host that it asked."""
    return f"https://{host.partition('.')[2]}" if vault_of(host) is not None else AUDIENCE
