"""Signing in to Azure Resource Manager: azure-identity's credentials, the right one for each cloud.

A cloud file that names a client, as the emulator's does, is signed in to as that client; any other cloud takes the
default chain (environment, workload identity, managed identity, the Azure CLI and so on).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError
from pydantic import SecretStr

from reconciler.azure.clouds import Cloud, is_loopback
from reconciler.azure.error_mapping import Call, translated
from reconciler.azure.errors import SignInError

SecretOf = Callable[[str], SecretStr]
"""Gives the value of an environment variable by its name."""

# What it warns of is raised as well, and would be printed beside the message of the error where nobody set logging up.
logging.getLogger("azure.identity").addHandler(logging.NullHandler())


class _Credential(Protocol):
    """What the credentials of azure-identity have in common, as far as it is used here."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken: ...

    async def close(self) -> None: ...


class SignIn:
    """The credential of a cloud, which makes azure-identity's own when the first token is wanted.

    So late because importing it takes 0.3 s, and because a secret that is missing is the trouble of those targets
    alone that need it. An async context manager.
    """

    def __init__(self, cloud: Cloud, secret: SecretOf) -> None:
        """Make a credential; nothing is sent.

        Args:
            cloud: Where to sign in.
            secret: Is asked for the variables that the cloud names, when the first token is wanted. What it raises
                passes through.
        """
        self._cloud = cloud
        self._secret = secret
        self._credential: _Credential | None = None
        self._client: tuple[SecretStr, SecretStr] | None = None
        self._replaced: list[_Credential] = []
        self._secrets: tuple[str, ...] = ()

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token for ``scopes``; azure-identity keeps it until shortly before it expires.

        A client that is refused is looked up again, as its secret may have been exchanged, and signs in once more if
        it is another one.

        Raises:
            SignInError: the authority does not accept the client, or there is no credential to be found.
            ServiceError: it cannot be reached, or does not answer as an authority.
        """
        credential = self._current()
        try:
            return await self._ask(credential, scopes, options)
        except SignInError:
            if credential is self._credential and not self._exchanged():
                raise
        return await self._ask(self._current(), scopes, options)

    def _current(self) -> _Credential:
        if self._credential is None:
            self._client = self._look_up()
            self._credential = self._make(self._client)
        return self._credential

    def _exchanged(self) -> bool:
        """Whether the client is another one by now, which the next token is then had with."""
        if self._client is None or self._credential is None or self._look_up() == self._client:
            return False
        # Closed at the end, and not before: others may be at it with the one that is replaced.
        self._replaced.append(self._credential)
        self._credential = None
        return True

    async def _ask(self, credential: _Credential, scopes: tuple[str, ...], options: dict[str, Any]) -> AccessToken:
        try:
            return await credential.get_token(*scopes, **options)
        except AzureError as error:
            call = Call(f"sign in to {self._cloud.name}", _url(self._cloud.authority), secrets=self._secrets)
            failure = translated(call, error)
            if not isinstance(error, ClientAuthenticationError):
                raise failure from None
            raise SignInError(
                failure.message,
                operation=call.operation,
                status=failure.status,
                code=failure.code,
                request_id=failure.request_id,
            ) from None

    async def close(self) -> None:
        """Close the connection to the authority, and forget the tokens."""
        for credential in (*self._replaced, self._credential):
            if credential is not None:
                await credential.close()
        self._replaced.clear()
        self._credential = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _look_up(self) -> tuple[SecretStr, SecretStr] | None:
        """Return the id and the secret of the client that the cloud names; None if it names none."""
        cloud = self._cloud
        if not (cloud.tenant_id and cloud.client_id_env and cloud.client_secret_env):
            return None
        return self._secret(cloud.client_id_env), self._secret(cloud.client_secret_env)

    def _make(self, client: tuple[SecretStr, SecretStr] | None) -> _Credential:
        from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential  # noqa: PLC0415 - late, see above

        cloud = self._cloud
        options: dict[str, Any] = {"authority": cloud.authority}
        if cloud.ca_file is not None:
            options["connection_verify"] = str(cloud.ca_file)
        if is_loopback(urlsplit(_url(cloud.authority)).hostname or ""):
            # Loopback is never reached through a proxy, and no list of known authorities has it.
            options |= {"use_env_settings": False, "disable_instance_discovery": True}
        if client is None or cloud.tenant_id is None:
            return DefaultAzureCredential(**options)
        client_id, secret = (each.get_secret_value() for each in client)
        self._secrets = (*self._secrets, secret)
        return ClientSecretCredential(cloud.tenant_id, client_id, secret, **options)


def _url(authority: str | None) -> str:
    """Return an authority as a URL; azure-identity takes a host alone as well."""
    return authority if authority and "://" in authority else f"https://{authority or ''}"
