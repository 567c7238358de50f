"""What the references of specs stand for: looked up when a client needs it, once a pass, and again when it is refused.

Variables and files are `reconciler.spec.secrets`' to read, Key Vaults `reconciler.azure.key_vault`'s to ask; here they
come together, and what a vault answers becomes a `MissingSecret` with its remedy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from reconciler.azure.credentials import RefreshableSecret, RefreshedSecret
from reconciler.azure.errors import CloudError, NotFound, ServiceError, SignInError, Unreachable
from reconciler.azure.key_vault import KeyVaults
from reconciler.spec.documents.base import KeyVaultReference, SecretReference
from reconciler.spec.secrets import MissingSecret, SecretResolver, asked_by, without_newline

LEFT_ALONE_FOR = timedelta(seconds=30)
"""For so long a secret that was refused and found to be the same is not looked up again: all targets of a workspace
may be refused at one time, and a vault counts its calls (Key Vault documentation, "Service limits")."""

# What to do about an answer, by its detail codes.
_REMEDIES = (
    (("ForbiddenByFirewall", "ForbiddenByConnection"), "Allow this machine's address in the vault's firewall"),
    (("SecretDisabled",), "Enable the secret, or store a new version"),
)


class SecretLookup:
    """The secrets of a run, for all of its passes."""

    def __init__(
        self,
        resolver: SecretResolver,
        vaults: KeyVaults,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is looked up yet.

        Args:
            resolver: Reads variables and files.
            vaults: Asks Key Vaults.
            clock: The time now, with a time zone.
        """
        self._resolver = resolver
        self._vaults = vaults
        self._clock = clock
        self._places: dict[tuple[str, ...], _Source] = {}

    def begin_pass(self, kept_for: timedelta) -> None:
        """Have secrets looked up again that could not be had, or that were looked up longer ago than ``kept_for``."""
        for place in self._places.values():
            place.expire(kept_for)

    def credential(self, reference: SecretReference, base: Path, *, wanted_for: str) -> RefreshableSecret:
        """Return the secret of a reference, for a client to look up when it needs it and when it is refused.

        Args:
            reference: The reference.
            base: The directory of the file that holds the document.
            wanted_for: Who refers to it, as in ``Workspace contoso, spec.token``.
        """
        name = f"{wanted_for} ({reference})" if wanted_for else str(reference)
        asked = asked_by(wanted_for)
        if reference.key_vault is not None:
            return _Reference(name, self._in_vault(reference.key_vault), _LookupError(reference.key_vault, asked))

        async def look_up(refresh: bool) -> _Found:
            return _Found(self._resolver.resolve(reference, base, wanted_for=wanted_for, refresh=refresh))

        # Not shared by those who refer to it, since looking costs nothing and the messages name one of them.
        place = self._place((str(reference), str(base), wanted_for), look_up)
        return _Reference(name, place, _LookupError(None, asked))

    async def secret(self, reference: SecretReference, base: Path, *, wanted_for: str = "") -> SecretStr:
        """Return the secret itself, as it was found when it was first wanted.

        Raises:
            MissingSecret: it is not there, or cannot be had.
        """
        return await self.credential(reference, base, wanted_for=wanted_for).current()

    def _in_vault(self, where: KeyVaultReference) -> _Source:
        async def look_up(refresh: bool) -> _Found:
            del refresh  # A vault is asked every time.
            found = await self._vaults.secret(where.vault, where.secret, where.version)
            # It may have been stored from a file.
            value = without_newline(found.value.get_secret_value())
            if not value:
                raise NotFound("it is empty", operation=f"get secret {where.secret} of Key Vault {where.vault}")
            return _Found(SecretStr(value), found.expires)

        return self._place(("", where.vault.lower(), where.secret.lower(), where.version or ""), look_up)

    def _place(self, key: tuple[str, ...], look_up: _LookUp) -> _Source:
        if key not in self._places:
            self._places[key] = _Source(look_up, self._clock)
        return self._places[key]


@dataclass(frozen=True, slots=True)
class _Found:
    value: SecretStr
    expires: datetime | None = None


_LookUp = Callable[[bool], Awaitable[_Found]]
"""Looks for a secret; the argument says whether what was read before may have changed."""


class _Source:
    """Where a secret is, and what was found there; shared by the references to it."""

    def __init__(self, look_up: _LookUp, clock: Callable[[], datetime]) -> None:
        self._look_up = look_up
        self._clock = clock
        self._lock = asyncio.Lock()
        self._found: _Found | None = None
        self._failure: ServiceError | CloudError | None = None
        self._same_since: datetime | None = None
        self._found_at: datetime | None = None
        self._ever_found = False

    def expire(self, kept_for: timedelta) -> None:
        """Forget a failure, and a secret that was found longer ago than ``kept_for``."""
        self._failure = None
        if self._found_at is not None and self._clock() - self._found_at >= kept_for:
            self._found = self._found_at = None

    async def current(self) -> SecretStr:
        """Return the secret. A vault that failed is not asked again in this pass."""
        async with self._lock:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._found is None:
                try:
                    self._found = await self._look_up(self._ever_found)
                    self._found_at, self._ever_found = self._clock(), True
                except (ServiceError, CloudError) as error:
                    self._failure = error
                    raise
            return self._found.value

    async def refresh(self, refused: SecretStr) -> RefreshedSecret:
        """See `reconciler.azure.credentials.RefreshableSecret`."""
        async with self._lock:
            if self._found is not None and self._found.value != refused:
                return RefreshedSecret(self._found.value)  # Another call was refused before this one.
            now = self._clock()
            if self._same_since is None or now - self._same_since >= LEFT_ALONE_FOR:
                try:
                    found = self._found = await self._look_up(True)
                    self._found_at = now
                except (ServiceError, CloudError, MissingSecret) as error:
                    return RefreshedSecret(None, f"its value cannot be read again: {error}")
                if found.value != refused:
                    return RefreshedSecret(found.value)
                self._same_since = now
            return RefreshedSecret(None, self._still_the_same(now))

    def _still_the_same(self, now: datetime) -> str:
        expires = None if self._found is None else self._found.expires
        past = f", and expired on {expires:%Y-%m-%d}" if expires is not None and expires <= now else ""
        return f"its value has not changed{past}. Update it with the value that the service accepts"


class _Reference:
    """One reference of a spec; a `reconciler.azure.credentials.RefreshableSecret`."""

    def __init__(self, name: str, place: _Source, missing: _LookupError) -> None:
        self._name = name
        self._place = place
        self._missing = missing

    @property
    def name(self) -> str:
        return self._name

    async def current(self) -> SecretStr:
        """Return the secret.

        Raises:
            MissingSecret: it is not there, or cannot be had.
        """
        try:
            return await self._place.current()
        except (ServiceError, CloudError) as error:
            raise self._missing.of(error) from None

    async def refresh(self, refused: SecretStr) -> RefreshedSecret:
        return await self._place.refresh(refused)


@dataclass(frozen=True, slots=True)
class _LookupError:
    """What is said of a secret that a vault does not give.

    Attributes:
        where: The reference; None if it is to no vault.
        asked: Who asks for it, as a clause.
    """

    where: KeyVaultReference | None
    asked: str

    def of(self, error: ServiceError | CloudError) -> MissingSecret:
        """Return the message: what is wanted by whom, what the vault says, and what to do."""
        if self.where is None:
            return MissingSecret(str(error))
        version = f" (version {self.where.version})" if self.where.version else ""
        secret = f"secret {self.where.secret}{version} of Key Vault {self.where.vault}{self.asked}"
        if isinstance(error, CloudError):
            return MissingSecret(f"{secret} cannot be read: {error}")
        # Its operation says once more what is wanted; a failed sign-in has another one.
        said = str(error).removeprefix(f"get secret {self.where.secret} of Key Vault {self.where.vault}: ")
        return MissingSecret(f"{secret} {_trouble(error)}: {said.rstrip('.')}. {_remedy(error)}")


def _trouble(error: ServiceError) -> str:
    if isinstance(error, NotFound):
        return "does not exist"
    return "cannot be read" if error.status == 403 else "is not available"


def _remedy(error: ServiceError) -> str:
    for codes, remedy in _REMEDIES:
        if error.has_code(*codes):
            return remedy
    if isinstance(error, NotFound):
        return "Store the secret there, or correct the reference"
    if error.status == 403:
        return (
            "Allow the signed-in identity to get secrets of this vault, with an access policy (Get) or the role "
            "Key Vault Secrets User"
        )
    if isinstance(error, SignInError):
        return "Check the sign-in of the cloud, and that it is in the vault's tenant"
    return (
        "Check the vault's name and the network"
        if isinstance(error, Unreachable)
        else "Run again when the vault answers"
    )
