"""Secrets that are looked up again when a service refuses them: a token or key may be exchanged while a run goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import SecretStr

from reconciler.azure.errors import SignInError

ANOTHER_ONE = "its new value was refused too"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RefreshedSecret:
    """What looking a refused secret up again gave.

    Attributes:
        value: Another value than the refused one; None if there is none.
        reason: Why there is none, for people; no secret is in it.
    """

    value: SecretStr | None
    reason: str = ""


class RefreshableSecret(Protocol):
    """A secret whose place is known."""

    @property
    def name(self) -> str:
        """Who refers to it, and where it is: ``Workspace contoso, spec.token (env CONTOSO_WORKSPACE_TOKEN)``."""

    async def current(self) -> SecretStr:
        """Return the secret, looked up when it is first wanted. What the look-up raises passes through every client."""

    async def refresh(self, refused: SecretStr) -> RefreshedSecret:
        """Look it up again, unless that was done since ``refused`` was found. Raises nothing of its own."""


Credential = SecretStr | RefreshableSecret
"""A key or token that a client sends, as it stands or with the place that it comes from."""


async def current(credential: Credential) -> SecretStr:
    """Return the secret of a credential as it is now."""
    return credential if isinstance(credential, SecretStr) else await credential.current()


async def call_with_refresh(
    credential: Credential, call: Callable[[SecretStr], Awaitable[_T]], refuses: Callable[[SignInError], bool]
) -> _T:
    """Make a call with a secret, and once more with another value of it if the service refuses this one.

    Whatever the call does, it was not done when it was refused, so it may be repeated.

    Args:
        credential: The secret; one without a place is sent once.
        call: The call.
        refuses: Whether an error says that the secret itself is not accepted.

    Raises:
        SignInError: it was refused and there is no other value, or that one was refused too. The message names the
            reference.
    """
    if isinstance(credential, SecretStr):
        return await call(credential)
    secret = await credential.current()
    try:
        return await call(secret)
    except SignInError as error:
        if not refuses(error):
            raise
        renewal = await credential.refresh(secret)
        if renewal.value is None:
            raise refused(error, credential, renewal.reason) from None
    try:
        return await call(renewal.value)
    except SignInError as error:
        if not refuses(error):
            raise
        raise refused(error, credential, ANOTHER_ONE) from None


def refused(error: SignInError, credential: RefreshableSecret, reason: str) -> SignInError:
    """Return the error with the reference whose secret was refused, and why no other one could be sent."""
    return SignInError(
        f"{error.message.rstrip('. ')}. Refused: {credential.name}: {reason}",
        operation=error.operation,
        status=error.status,
        code=error.code,
        detail_codes=error.detail_codes,
        request_id=error.request_id,
    )
