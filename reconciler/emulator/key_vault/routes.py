"""The secrets of Key Vaults over HTTP: Get Secret and Set Secret, with the challenge that begins every client's visit.

Sources: Key Vault documentation, "Authentication, requests, and responses", "REST API error codes" and "About secrets";
bodies as in recordings of Azure's client libraries. What no source shows is marked [I].
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from reconciler.emulator.config.principals import Principal
from reconciler.emulator.config.vaults import (
    LARGEST_SECRET,
    KeyVault,
    Permission,
    resource_of,
    vault_audiences,
    vault_of,
)
from reconciler.emulator.context import Context
from reconciler.emulator.identity.access_tokens import TokenInvalid
from reconciler.emulator.identity.routes import Identities, SignIn
from reconciler.emulator.key_vault.secrets import StoredVersion, VaultSecrets

VERSIONS = ("2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01")
"""Those that azure-keyvault-secrets knows."""

_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_KEPT_DAYS = 90
_HELP = "For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid="


@dataclass(eq=False)
class VaultError(Exception):
    """An answer other than success: ``{"error": {"code", "message", "innererror"?}}``."""

    status: int
    code: str
    message: str
    inner: str = ""
    challenge: str = ""

    def reply(self) -> web.Response:
        """Return the reply on the wire."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner:
            error["innererror"] = {"code": self.inner}
        headers = {"WWW-Authenticate": self.challenge} if self.challenge else {}
        return web.json_response({"error": error}, status=self.status, headers=headers)


def vault_error_reply(status: int, outer: str, inner: str, message: str) -> web.Response:
    """Return an error that a fault rule orders."""
    return VaultError(status, outer, message, inner).reply()


class VaultRequests:
    """The vaults of one emulator."""

    def __init__(self, context: Context, kept: VaultSecrets) -> None:
        self._context = context
        self._kept = kept
        self._identities = Identities(context)
        self._tokens = SignIn(context).tokens
        self._home = context.studio.principal.tenant_id

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; none if the studio file has no vault."""
        if not self._context.studio.key_vaults:
            return []
        # The client library writes a slash after the name of a secret whose version it does not say.
        names = "/secrets/{name}{slash:/?}"
        return [
            web.get(names, self._answering(self._get)),
            web.put(names, self._answering(self._set)),
            web.get("/secrets/{name}/{version}", self._answering(self._get)),
        ]

    def _answering(
        self, handler: Callable[[web.Request, KeyVault, Principal], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            location = ""
            try:
                vault = self._vault(request)
                location = vault.location
                principal = self._principal(request)
                _check_version(request)
                reply = await handler(request, vault, principal)
            except VaultError as error:
                reply = error.reply()
            reply.headers.update({"Cache-Control": "no-cache", "Pragma": "no-cache", "x-ms-keyvault-region": location})
            return reply

        return answer

    def _vault(self, request: web.Request) -> KeyVault:
        name = vault_of(request.host)
        vault = self._kept.vault(name)
        if vault is None:
            # The real one would not even be found: its name is that of a host.
            raise VaultError(404, "VaultNotFound", f"There is no Key Vault '{name}' in this emulator.")
        return vault

    def _principal(self, request: web.Request) -> Principal:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise self._unauthorized(request, "AKV10000: Request is missing a Bearer or PoP token.")
        try:
            token = self._tokens.read(text.strip())
        except TokenInvalid:
            raise self._unauthorized(request, "[BearerReadAccessTokenFailed] Error validating token.") from None
        if token.expires <= self._context.clock():
            raise self._unauthorized(request, "[TokenExpired] Error validating token: 'S2S12086'.")
        if token.audience.rstrip("/") not in vault_audiences(self._context.secure_url):
            expected, found = resource_of(request.host), token.audience
            raise self._unauthorized(request, f"AKV10022: Invalid audience. Expected {expected}, found: {found}.")
        if token.tenant_id != self._home:
            expected, found = (f"https://sts.windows.net/{each}/" for each in (self._home, token.tenant_id))
            raise self._unauthorized(request, f"AKV10032: Invalid issuer. Expected one of {expected}, found {found}.")
        principal = self._identities.find(token.tenant_id, token.client_id)
        if principal is None:
            raise self._unauthorized(request, "[BearerReadAccessTokenFailed] Error validating token.")
        return principal

    def _unauthorized(self, request: web.Request, message: str) -> VaultError:
        authority = f"{self._context.secure_url}/{self._home}"
        challenge = f'Bearer authorization="{authority}", resource="{resource_of(request.host)}"'
        return VaultError(401, "Unauthorized", message, challenge=challenge)

    def _authorize(self, vault: KeyVault, principal: Principal, permission: Permission) -> None:
        if vault.access is None:
            allowed = principal == self._context.studio.principal
        else:
            allowed = any(each.client_id == principal.client_id and permission in each.secrets for each in vault.access)
        if not allowed:
            caller = (
                f"appid={principal.client_id};oid={principal.object_id};"
                f"iss=https://sts.windows.net/{principal.tenant_id}/"
            )
            raise VaultError(
                403,
                "Forbidden",
                f"The user, group or application '{caller}' does not have secrets {permission} permission on key vault "
                f"'{vault.name};location={vault.location}'. {_HELP}2125287",
                inner="ForbiddenByPolicy",
            )

    async def _get(self, request: web.Request, vault: KeyVault, principal: Principal) -> web.Response:
        """Get Secret. It works for one that has expired, or is not valid yet, as well ("About secrets")."""
        name, version = _name(request), request.match_info.get("version", "")
        self._authorize(vault, principal, "get")
        found = self._kept.find(vault.name, name, version)
        if found is None:
            called = f"{name}/{version}" if version else name
            raise VaultError(
                404,
                "SecretNotFound",
                f"A secret with (name/id) {called} was not found in this key vault. If you recently deleted this "
                f"secret you may be able to recover it using the correct recovery command. {_HELP}2125182",
            )
        if not found.enabled:
            message = "Operation get is not allowed on a disabled secret."
            raise VaultError(403, "Forbidden", message, inner="SecretDisabled")
        return web.json_response(_bundle(request, name, found))

    async def _set(self, request: web.Request, vault: KeyVault, principal: Principal) -> web.Response:
        """Set Secret: a new version, and the secret with it if there was none."""
        name = _name(request)
        self._authorize(vault, principal, "set")
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            body = None
        value = body.get("value") if isinstance(body, dict) else None
        if not isinstance(value, str) or len(value.encode(errors="replace")) > LARGEST_SECRET:
            raise VaultError(400, "BadParameter", "The request's value is missing, no text, or longer than 25 KB.")
        attributes = body.get("attributes") or {}
        made = self._kept.new_version(
            value,
            enabled=attributes.get("enabled") is not False,
            not_before=attributes.get("nbf"),
            expires=attributes.get("exp"),
            content_type=body.get("contentType"),
            tags=body.get("tags"),
        )
        self._kept.add(vault.name, name, made)
        return web.json_response(_bundle(request, name, made))


def _check_version(request: web.Request) -> None:
    if request.query.get("api-version") not in VERSIONS:
        # There is no default ("Authentication, requests, and responses"); the words are [I].
        raise VaultError(400, "BadParameter", f"Specify an api-version: {', '.join(VERSIONS)}.")


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not _NAME.fullmatch(name):
        message = f"The request URI contains an invalid name: {name}"
        raise VaultError(400, "BadParameter", message)
    return name


def _bundle(request: web.Request, name: str, version: StoredVersion) -> dict[str, Any]:
    attributes = {
        "enabled": version.enabled,
        "nbf": version.not_before,
        "exp": version.expires,
        "created": version.created,
        "updated": version.created,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": _KEPT_DAYS,
    }
    bundle = {
        "value": version.value,
        "contentType": version.content_type,
        "id": f"https://{request.host}/secrets/{name}/{version.id}",
        "attributes": {each: value for each, value in attributes.items() if value is not None},
        "tags": version.tags,
    }
    return {each: value for each, value in bundle.items() if value is not None}
