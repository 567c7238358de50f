"""The token endpoint of the Microsoft identity platform, and the discovery documents that lead to it.

The client credentials grant of version 2.0 for the principals of the studio file, who prove themselves with a secret,
a certificate or a federated token. The result is a signed JWT.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from reconciler.emulator.config.principals import Principal
from reconciler.emulator.config.vaults import vault_audiences
from reconciler.emulator.context import Context, Secrets
from reconciler.emulator.identity import client_assertions
from reconciler.emulator.identity.access_tokens import AccessTokens, Proof
from reconciler.emulator.identity.certificates import certificate_in, new_client_certificate, new_rsa_key, rsa_key
from reconciler.emulator.identity.client_assertions import Registration
from reconciler.emulator.identity.errors import SignInRefused, invalid_client, missing_parameter, tenant_not_found

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
"""What a token for Azure Resource Manager may be issued for, without slashes at the end."""

# Tokens are to be had for these as well, and Azure Resource Manager refuses them.
_OTHER_RESOURCES = ("https://storage.azure.com", "https://graph.microsoft.com", "https://ml.azure.com")

_log = logging.getLogger(__name__)
_DEFAULT_SCOPE = "/.default"


class Identities:
    """The principals of an emulator with what they prove themselves with."""

    def __init__(self, context: Context) -> None:
        self._secrets = context.secrets
        first, others = context.studio.principal, context.studio.principals
        self._first = first
        self._principals = {(each.tenant_id, each.client_id): each for each in (first, *others)}
        self.tenants = {tenant for tenant, _ in self._principals}

    def find(self, tenant: str, client: str) -> Principal | None:
        """Return the principal with these ids."""
        return self._principals.get((tenant.lower(), client.lower()))

    def knows_secret(self, principal: Principal, given: str) -> bool:
        """Return whether that is the principal's secret."""
        if principal is self._first:
            return Secrets.matches(self._secrets.client_secret(), given)
        if principal.client_secret_env is None:
            return False
        return Secrets.matches(self._secrets.client_secret(principal.client_id), given)

    def registration(self, principal: Principal) -> Registration:
        """Return what the principal's assertions are checked against."""
        certificate = None if principal.certificate_env is None else certificate_in(self.certificate(principal))
        key = None if principal.federated is None else rsa_key(self.cluster_key()).public_key()
        return Registration(principal, certificate, key)

    def certificate(self, principal: Principal) -> str:
        """Return the principal's certificate with its private key, in PEM."""
        return self._secrets.pem(
            f"client-certificate/{principal.client_id}", lambda: new_client_certificate(principal.client_id)
        )

    def cluster_key(self) -> str:
        """Return the key that signs service account tokens, in PEM."""
        return self._secrets.pem("cluster", new_rsa_key)


class SignIn:
    """The issuer of tokens."""

    def __init__(self, context: Context) -> None:
        self._identities = Identities(context)
        self._clock = context.clock
        self._authority = context.secure_url
        self._resources = (*AUDIENCES, *vault_audiences(context.secure_url), *_OTHER_RESOURCES)
        self.tokens = AccessTokens(
            context.secrets.pem("token-signing", new_rsa_key), context.clock, context.studio.timings.token_valid_for
        )

    def issue(self, tenant: str, form: Mapping[str, Any], authority: str = "") -> dict[str, Any]:
        """Return the answer to a token request.

        Args:
            tenant: As it stands in the URL.
            form: What was sent.
            authority: The URL that the client reached the emulator by, which its assertion must be meant for.

        Raises:
            SignInRefused: tenant, client, proof, grant or scope is not one that there is.
        """
        for name in ("grant_type", "client_id", "scope"):
            if not form.get(name):
                raise missing_parameter(name)
        if form["grant_type"] != "client_credentials":
            message = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise SignInRefused(400, "unsupported_grant_type", 70003, message)
        self.check_tenant(tenant)
        client = str(form["client_id"])
        principal = self._identities.find(tenant, client)
        if principal is None:
            message = f"Application with identifier '{client}' was not found in the directory '{tenant}'."
            raise SignInRefused(400, "unauthorized_client", 700016, message)
        proof = self._proof(principal, form, authority or self._authority)
        token = self.tokens.issue(principal, self._audience(str(form["scope"]), principal.tenant_id), proof)
        seconds = max(0, int(self.tokens.lifetime.total_seconds()) - 1)
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}

    def check_tenant(self, tenant: str) -> None:
        """Raise SignInRefused for an unknown directory."""
        if tenant.lower() not in self._identities.tenants:
            raise tenant_not_found(tenant)

    def _proof(self, principal: Principal, form: Mapping[str, Any], authority: str) -> Proof:
        assertion, secret = form.get("client_assertion"), form.get("client_secret")
        if assertion:
            if form.get("client_assertion_type") != client_assertions.TYPE:
                raise missing_parameter("client_assertion_type")
            tenant = f"{authority}/{principal.tenant_id}"
            audiences = (f"{tenant}/oauth2/v2.0/token", f"{tenant}/v2.0")
            client_assertions.check(str(assertion), self._identities.registration(principal), audiences, self._clock())
            return "certificate"
        if not secret:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise invalid_client(7000218, message)
        if not self._identities.knows_secret(principal, str(secret)):
            raise invalid_client(7000215, f"Invalid client secret provided for app '{principal.client_id}'.")
        return "secret"

    def _audience(self, scope: str, tenant: str) -> str:
        """Return the resource that a scope stands for.

        One whose identifier ends in a slash keeps it before ``/.default``, so two slashes there are right as well.
        """
        if not scope.endswith(_DEFAULT_SCOPE) or " " in scope:
            raise SignInRefused(
                400,
                "invalid_scope",
                1002012,
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
                "with /.default suffixed to the resource identifier (application ID URI).",
            )
        audience = scope.removesuffix(_DEFAULT_SCOPE)
        if audience.rstrip("/") not in self._resources:
            message = f"The resource principal named {audience} was not found in the tenant named {tenant}."
            raise SignInRefused(400, "invalid_resource", 500011, message)
        return audience


def sign_in_routes(context: Context) -> list[web.RouteDef]:
    """Return the token endpoint and what leads to it."""
    sign_in = SignIn(context)

    def refused(refusal: SignInRefused) -> web.Response:
        _log.info("sign-in refused: %s %d", refusal.error, refusal.number)
        stamp = context.clock().strftime("%Y-%m-%d %H:%M:%SZ")
        return web.json_response(refusal.body(stamp, context.new_id(), context.new_id()), status=refusal.status)

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        try:
            body = sign_in.issue(request.match_info["tenant"], form, _authority(request))
            response = web.json_response(body)
        except SignInRefused as refusal:
            response = refused(refusal)
        # Caches must not keep the answer (RFC 6749, 5.1).
        response.headers.update({"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})
        return response

    async def configuration(request: web.Request) -> web.Response:
        tenant = request.match_info["tenant"]
        try:
            sign_in.check_tenant(tenant)
        except SignInRefused as refusal:
            return refused(refusal)
        return web.json_response(_configuration(f"{_authority(request)}/{tenant.lower()}"))

    async def keys(_: web.Request) -> web.Response:
        return web.json_response(dict(sign_in.tokens.keys()))

    async def instance(request: web.Request) -> web.Response:
        return _instance(request)

    return [
        web.post("/{tenant:[^/]+}/oauth2/v2.0/token", token),
        web.get("/{tenant:[^/]+}/v2.0/.well-known/openid-configuration", configuration),
        web.get("/{tenant:[^/]+}/discovery/v2.0/keys", keys),
        web.get("/common/discovery/instance", instance),
    ]


def _authority(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _configuration(tenant: str) -> dict[str, Any]:
    """Return the OpenID provider metadata (Discovery 1.0, section 3); clients need an authorization endpoint named."""
    return {
        "issuer": f"{tenant}/v2.0",
        "token_endpoint": f"{tenant}/oauth2/v2.0/token",
        "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
        "jwks_uri": f"{tenant}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    }


def _instance(request: web.Request) -> web.Response:
    """Answer which authorities exist: this one alone.

    A client asks its authority for this only if configured to; by default it asks login.microsoftonline.com, which
    does not know the emulator, so that clients need ``disable_instance_discovery``.
    """
    asked = request.query.get("authorization_endpoint", "").partition("/oauth2/")[0]
    authority = _authority(request)
    if asked and not asked.startswith(f"{authority}/"):
        refusal = SignInRefused(400, "invalid_instance", 50049, "Unknown or invalid instance.")
        return web.json_response({"error": refusal.error, "error_description": str(refusal)}, status=refusal.status)
    metadata = {
        "preferred_network": request.host,
        "preferred_cache": request.host,
        "aliases": [request.host],
    }
    return web.json_response(
        {
            "tenant_discovery_endpoint": f"{asked or authority + '/common'}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [metadata],
        }
    )
