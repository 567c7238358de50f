"""What a driver says to ``reconcile doctor``: checks that it made itself, and what else has to be tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from pydantic import SecretStr

from reconciler.plan.checks.result import Check


@dataclass(frozen=True, slots=True)
class Host:
    """A host that something needs.

    Attributes:
        url: Any URL on it.
        role: What it is there for: ``management of South Central US``.
        studio: Whether it is one of Studio's own, so that its silence means that the service has ended.
        own_authority: Whether it is vouched for by the cloud's own certificate authorities, if the cloud has any.
    """

    url: str
    role: str
    studio: bool = False
    own_authority: bool = False

    @property
    def netloc(self) -> str:
        """Name and port."""
        return urlsplit(self.url).netloc.lower()

    @property
    def origin(self) -> str:
        """Scheme, name and port."""
        return f"{urlsplit(self.url).scheme.lower()}://{self.netloc}"


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The key of a storage account that a step hands to a service.

    Attributes:
        account: The account's name.
        key: The key.
        field: The field of the document that refers to it: ``spec.storage.key of NewWebService mine``.
        reference: What it refers to: ``env STORAGE_KEY``.
    """

    account: str
    key: SecretStr
    field: str
    reference: str

    @property
    def subject(self) -> str:
        """What it is, for people."""
        return f"storage account {self.account} ({self.field})"


@dataclass(frozen=True, slots=True)
class Reach:
    """What is known before drivers are asked.

    Attributes:
        now: The time, aware.
        is_silent: Whether the host of a URL was tried and did not answer: what rests on it is skipped.
        signed_in: Whether the cloud's sign-in gave a token, or none was needed.
    """

    now: datetime
    is_silent: Callable[[str], bool]
    signed_in: bool = True


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a driver found.

    Attributes:
        checks: What works and what does not.
        hosts: Hosts that targets or training services are called at, to be tried.
        keys: Storage keys that documents hand over, to be tried.
    """

    checks: tuple[Check, ...] = ()
    hosts: tuple[Host, ...] = ()
    keys: tuple[AccountKey, ...] = ()
