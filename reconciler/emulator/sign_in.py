"""The token endpoint of the local Studio, and the check of the tokens that it issued.

Client credentials of the studio file's one principal, in the manner of the Microsoft identity platform: a form in, an
opaque bearer token for Azure Resource Manager out. Only a token's digest is kept, so it outlives a restart and cannot
be read from the state.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from aiohttp import web

from reconciler.emulator.arm_errors import ArmError
from reconciler.emulator.context import Context
from reconciler.emulator.documents import Document
from reconciler.emulator.studio_file import Principal
from reconciler.emulator.web_services import timestamp

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
"""What a token for Azure Resource Manager may be issued for, without slashes at the end."""

_log = logging.getLogger(__name__)
_DEFAULT_SCOPE = "/.default"


@dataclass(eq=False)
class SignInRefused(Exception):
    """An OAuth error (RFC 6749, 5.2) with the number that the identity platform gives it."""

    status: int
    error: str
    number: int
    description: str

    def __str__(self) -> str:
        return f"AADSTS{self.number}: {self.description}"


class SignIn:
    """Issues and checks tokens.

    Args:
        principal: The only tenant and client there are.
        secret: Gives the client's secret.
        tokens: Where the digests of issued tokens are kept.
        clock: The time now.
        lifetime: How long a token is accepted; the identity platform gives an hour or a little more.
    """

    def __init__(
        self,
        principal: Principal,
        secret: Callable[[], str],
        tokens: MutableMapping[str, Document],
        clock: Callable[[], datetime],
        lifetime: timedelta = timedelta(hours=1),
    ) -> None:
        self._principal = principal
        self._secret = secret
        self._tokens = tokens
        self._clock = clock
        self._lifetime = lifetime

    @classmethod
    def of(cls, context: Context) -> Self:
        """The sign-in of a Studio."""
        tokens = context.documents.collection("access-tokens")
        return cls(context.studio.principal, context.secrets.client_secret, tokens, context.clock)

    def issue(self, tenant: str, form: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a token request.

        Raises:
            SignInRefused: tenant, client, secret, grant or scope is not one that there is.
        """
        audience = self._audience(tenant, form)
        now = self._clock()
        for digest, kept in list(self._tokens.items()):
            # For a day more the answer to an expired token says that it expired, not that it never was one.
            if datetime.fromisoformat(kept["expires"]) < now - timedelta(days=1):
                del self._tokens[digest]
        token = secrets.token_urlsafe(48)
        self._tokens[_digest(token)] = {
            "audience": audience,
            "client": self._principal.client_id,
            "expires": (now + self._lifetime).isoformat(),
        }
        seconds = int(self._lifetime.total_seconds()) - 1
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}

    def check(self, authorization: str | None) -> str:
        """Lets a request to Azure Resource Manager pass, by its ``Authorization`` header.

        Returns:
            Who asks: the client's id.

        Raises:
            ArmError: 401 ``AuthenticationFailed``, ``InvalidAuthenticationToken``, ``ExpiredAuthenticationToken`` or
                ``InvalidAuthenticationTokenAudience``.
        """
        if not authorization:
            raise self._challenge(
                "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        scheme, _, token = authorization.partition(" ")
        kept = self._tokens.get(_digest(token.strip()))
        if scheme.lower() != "bearer" or kept is None:
            raise self._challenge("InvalidAuthenticationToken", "The access token is invalid.")
        expires, now = datetime.fromisoformat(kept["expires"]), self._clock()
        if expires <= now:
            raise self._challenge(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{timestamp(expires)}' is earlier than current UTC time "
                f"'{timestamp(now)}'.",
            )
        if kept["audience"] not in AUDIENCES:
            raise self._challenge(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{kept['audience']}'. It should "
                f"exactly match with one of the allowed audiences '{','.join(AUDIENCES)}'.",
            )
        return str(kept["client"])

    def _challenge(self, code: str, message: str) -> ArmError:
        authority = f"https://login.microsoftonline.com/{self._principal.tenant_id}"
        error = "invalid_token"
        challenge = f'Bearer authorization_uri="{authority}", error="{error}", error_description="{message}"'
        return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})

    def _audience(self, tenant: str, form: Mapping[str, Any]) -> str:
        """The audience that the form asks for, once everything else in the form is right."""
        for name in ("grant_type", "client_id", "client_secret", "scope"):
            if not form.get(name):
                message = f"The request body must contain the following parameter: '{name}'."
                raise SignInRefused(400, "invalid_request", 900144, message)
        if form["grant_type"] != "client_credentials":
            message = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise SignInRefused(400, "unsupported_grant_type", 70003, message)
        if tenant.lower() != self._principal.tenant_id:
            raise SignInRefused(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        client = str(form["client_id"])
        if client.lower() != self._principal.client_id:
            message = f"Application with identifier '{client}' was not found in the directory '{tenant}'."
            raise SignInRefused(400, "unauthorized_client", 700016, message)
        # As bytes: compare_digest refuses text that is not ASCII, and what was sent may be anything.
        if not hmac.compare_digest(str(form["client_secret"]).encode(), self._secret().encode()):
            message = f"Invalid client secret provided for app '{client}'."
            raise SignInRefused(401, "invalid_client", 7000215, message)
        scope = str(form["scope"])
        # An audience that ends in a slash keeps it before "/.default", so two slashes there are right as well.
        audience = scope.removesuffix(_DEFAULT_SCOPE).rstrip("/")
        if not scope.endswith(_DEFAULT_SCOPE) or audience not in AUDIENCES:
            message = (
                f"The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            )
            raise SignInRefused(400, "invalid_scope", 70011, message)
        return audience


def routes(context: Context) -> list[web.RouteDef]:
    """The token endpoint."""
    sign_in = SignIn.of(context)

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        # Caches must not keep the answer (RFC 6749, 5.1).
        headers = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
        try:
            body = sign_in.issue(request.match_info["tenant"], form)
        except SignInRefused as refusal:
            _log.info("sign-in refused: %s %d", refusal.error, refusal.number)
            return web.json_response(_error_body(context, refusal), status=refusal.status, headers=headers)
        return web.json_response(body, headers=headers)

    return [web.post("/{tenant:[^/]+}/oauth2/v2.0/token", token)]


def _error_body(context: Context, refusal: SignInRefused) -> dict[str, Any]:
    return {
        "error": refusal.error,
        "error_description": str(refusal),
        "error_codes": [refusal.number],
        "timestamp": context.clock().strftime("%Y-%m-%d %H:%M:%SZ"),
        "trace_id": context.new_id(),
        "correlation_id": context.new_id(),
    }


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
