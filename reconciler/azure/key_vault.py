"""Azure Key Vault, through azure-keyvault-secrets (Key Vault documentation, "Authentication, requests, and responses").

A vault is signed in to with the cloud's own credential. It names whom it wants a token for in a challenge, which the
library compares with the vault's host, so that no token is had for anybody else.
"""

from __future__ import annotations

import logging
import ssl
from collections import deque
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import aiohttp
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport
from pydantic import SecretStr

from reconciler.azure.clouds import Cloud, is_loopback
from reconciler.azure.error_mapping import Call, translated
from reconciler.azure.errors import InvalidReply, ServiceError
from reconciler.azure.retries import Retries

if TYPE_CHECKING:
    from azure.keyvault.secrets.aio import SecretClient

API_VERSION = "7.4"
"""One that every cloud has."""

_TOKENS_IN_USE = 4
_LOCAL = ".localhost"

# What it warns of (an error body that it cannot read) is raised as well.
logging.getLogger("azure.keyvault").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """A secret as a vault gives it. ``expires`` does not keep the vault from giving it ("About secrets")."""

    value: SecretStr
    version: str
    expires: datetime | None = None


class KeyVaults:
    """The Key Vaults of one cloud. An async context manager; safe to use from many tasks."""

    def __init__(self, cloud: Cloud, credential: AsyncTokenCredential, *, retries: Retries | None = None) -> None:
        """Make a client; nothing is sent. The credential is the caller's to close."""
        self._cloud = cloud
        self._credential = _Remembering(credential)
        self._retries = retries or Retries()
        self._session: aiohttp.ClientSession | None = None
        self._clients: dict[str, SecretClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clients.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def secret(self, vault: str, name: str, version: str | None = None) -> VaultSecret:
        """Return a secret.

        Args:
            vault: The vault's name or URL.
            name: The secret's name.
            version: Its version; the current one if left out.

        Raises:
            CloudError: the vault is none of this cloud's; nothing was sent.
            NotFound: there is no such secret or version.
            SignInError: there is no token to be had, the vault does not take it (401), or it refuses this secret
                (403); the detail code says why: ``ForbiddenByPolicy``, ``ForbiddenByFirewall``, ``SecretDisabled`` and
                so on.
            Unreachable: there is no vault of that name, or no way to it.
            ServiceError: as the tree in `reconciler.azure.errors` says. What the credential raises passes through.
        """
        url = self._cloud.key_vault_url(vault)
        call = Call(f"get secret {name} of Key Vault {vault}", url, secrets=self._credential.tokens)
        try:
            found = await self._client(url).get_secret(name, version)
        except AzureError as error:
            raise _translated(call, error) from None
        except (ValueError, TypeError, AttributeError):
            # The library's words for a challenge or a body of another shape; they may repeat the body.
            raise InvalidReply(f"{call.host} does not respond like a Key Vault", operation=call.operation) from None
        if not isinstance(found.value, str):
            raise InvalidReply("the answer has no value", operation=call.operation, status=200)
        return VaultSecret(SecretStr(found.value), found.properties.version or "", found.properties.expires_on)

    def _client(self, url: str) -> SecretClient:
        if url not in self._clients:
            from azure.keyvault.secrets.aio import SecretClient  # noqa: PLC0415 - late: most fleets have no vault

            if self._session is None:
                self._session = self._new_session()
            self._clients[url] = SecretClient(
                url,
                self._credential,
                api_version=API_VERSION,
                transport=AioHttpTransport(
                    session=self._session, session_owner=False, connection_timeout=10, read_timeout=60
                ),
                retry_policy=copy(self._retries),  # a policy belongs to one pipeline
                # Nobody but the vault itself gets to see what is sent to it.
                permit_redirects=False,
            )
        return self._clients[url]

    def _new_session(self) -> aiohttp.ClientSession:
        verify = True if self._cloud.ca_file is None else ssl.create_default_context(cafile=self._cloud.ca_file)
        host = urlsplit(self._cloud.key_vaults or "").hostname or ""
        local = host.endswith(_LOCAL) or is_loopback(host)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=verify, resolver=LoopbackNames() if local else None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=not local,
        )


class LoopbackNames(aiohttp.ThreadedResolver):
    """Finds every name below ``localhost`` on this machine (RFC 6761, 6.3), which not every system does."""

    async def resolve(self, host: str, *arguments: Any, **options: Any) -> Any:
        """See `aiohttp.ThreadedResolver.resolve`."""
        found = await super().resolve("127.0.0.1" if host.endswith(_LOCAL) else host, *arguments, **options)
        return [{**each, "hostname": host} for each in found]


class _Remembering:
    """The credential, and the tokens that were sent, which an error that repeats its request must not show."""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential
        self.tokens: deque[str] = deque(maxlen=_TOKENS_IN_USE)

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        token = await self._credential.get_token(*scopes, **options)
        if token.token not in self.tokens:
            self.tokens.append(token.token)
        return token

    async def close(self) -> None:
        """Do nothing: another part closes the credential."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


def _translated(call: Call, error: AzureError) -> ServiceError:
    if isinstance(error, HttpResponseError) and error.response is not None and (error.status_code or 0) < 400:
        # The body is half of a secret, perhaps: it is not repeated.
        return InvalidReply(
            "the response is not a secret of a Key Vault",
            operation=call.operation,
            status=error.status_code or 0,
        )
    return translated(call, error)
