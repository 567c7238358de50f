"""Signing in to Azure Resource Manager.

The real clouds take azure-identity's default chain. A cloud file that names a token endpoint, as the
emulator's does, gets a client-credentials sign-in of our own, because azure-identity refuses an endpoint
without TLS.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from pydantic import SecretStr

from reconciler.azure.clouds import Cloud
from reconciler.azure.errors import InvalidReply, ServiceError, SignInError
from reconciler.azure.http import Http

_RENEW_BEFORE = 300.0

SecretOf = Callable[[str], SecretStr]
"""Gives the value of an environment variable by its name."""


def credential_for(cloud: Cloud, http: Http, secret: SecretOf) -> AsyncTokenCredential:
    """The credential of a cloud; an async context manager.

    ``secret`` is asked for the two variables that the cloud names, not before the first token is wanted. What
    it raises passes through.
    """
    if cloud.token_url is None:
        from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - late: takes 0.3 s

        return DefaultAzureCredential(authority=cloud.authority)
    return ClientCredentials(cloud, http, secret)


class ClientCredentials:
    """The client-credentials grant (RFC 6749 4.4) against a cloud's token endpoint.

    Tokens are kept until shortly before they expire; tasks that need one at the same time share one request.
    """

    def __init__(self, cloud: Cloud, http: Http, secret: SecretOf, *, clock: Callable[[], float] = time.time) -> None:
        """Make a credential; nothing is sent. ``clock`` gives seconds since the epoch."""
        self._cloud = cloud
        self._http = http
        self._secret = secret
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: dict[str, tuple[AccessToken, float]] = {}

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """A token for ``scopes``.

        Raises:
            SignInError: the endpoint does not accept the client.
            ServiceError: it can't be reached, or does not answer as a token endpoint.
        """
        scope = " ".join(scopes)
        async with self._lock:
            token, renew_at = self._kept.get(scope, (None, 0.0))
            if token is None or self._clock() >= renew_at:
                token, renew_at = await self._ask(scope)
                self._kept[scope] = (token, renew_at)
            return token

    async def _ask(self, scope: str) -> tuple[AccessToken, float]:
        cloud, operation = self._cloud, f"sign in to {self._cloud.name}"
        if not (cloud.token_url and cloud.client_id_env and cloud.client_secret_env):
            raise SignInError("the cloud names no client to sign in as", operation=operation)
        form = {
            "grant_type": "client_credentials",
            "client_id": self._secret(cloud.client_id_env).get_secret_value(),
            "client_secret": self._secret(cloud.client_secret_env).get_secret_value(),
            "scope": scope,
        }
        asked_at = self._clock()
        try:
            reply = await self._http.request("POST", cloud.token_url, form=form, idempotent=True, operation=operation)
        except ServiceError as error:
            if error.status in {400, 401, 403}:
                raise SignInError(
                    error.message,
                    operation=operation,
                    status=error.status,
                    code=error.code,
                    request_id=error.request_id,
                ) from None
            raise
        content = reply.expect(dict, operation) or {}
        value, lifetime = content.get("access_token"), _seconds(content.get("expires_in"))
        if not isinstance(value, str) or not value or lifetime is None:
            message = "the answer has no access_token or no expires_in"
            raise InvalidReply(message, operation=operation, status=reply.status)
        margin = min(_RENEW_BEFORE, lifetime / 10)
        return AccessToken(value, int(asked_at + lifetime)), asked_at + lifetime - margin

    async def close(self) -> None:
        """Forget the tokens. The pool belongs to whoever made it."""
        self._kept.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _seconds(value: object) -> float | None:
    """``expires_in``: a number, or as some endpoints have it a text."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
