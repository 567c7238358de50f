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
from reconciler.azure.errors import SignInError
from reconciler.azure.failures import Call, translated

SecretOf = Callable[[str], SecretStr]
"""Gives the value of an environment variable by its name."""

# What it warns of is raised as well, and would be printed beside our own message where nobody set logging up.
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
        self._secrets: tuple[str, ...] = ()

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for ``scopes``; azure-identity keeps it until shortly before it expires.

        Raises:
            SignInError: the authority does not accept the client, or there is no credential to be found.
            ServiceError: it can't be reached, or does not answer as an authority.
        """
        if self._credential is None:
            self._credential = self._make()
        try:
            return await self._credential.get_token(*scopes, **options)
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
        if self._credential is not None:
            await self._credential.close()
            self._credential = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _make(self) -> _Credential:
        from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential  # noqa: PLC0415 - late, see above

        cloud = self._cloud
        options: dict[str, Any] = {"authority": cloud.authority}
        if cloud.ca_file is not None:
            options["connection_verify"] = str(cloud.ca_file)
        if is_loopback(urlsplit(_url(cloud.authority)).hostname or ""):
            # Loopback is never reached through a proxy, and no list of known authorities has it.
            options |= {"use_env_settings": False, "disable_instance_discovery": True}
        if not (cloud.tenant_id and cloud.client_id_env and cloud.client_secret_env):
            return DefaultAzureCredential(**options)
        client, secret = (
            self._secret(name).get_secret_value() for name in (cloud.client_id_env, cloud.client_secret_env)
        )
        self._secrets = (secret,)
        return ClientSecretCredential(cloud.tenant_id, client, secret, **options)


def _url(authority: str | None) -> str:
    """An authority as a URL; azure-identity takes a host alone as well."""
    return authority if authority and "://" in authority else f"https://{authority or ''}"
