"""What Azure Resource Manager makes of a request's access token."""

from __future__ import annotations

from reconciler.emulator.arm.errors import ArmError
from reconciler.emulator.arm.web_services import timestamp
from reconciler.emulator.config.principals import Principal
from reconciler.emulator.context import Context
from reconciler.emulator.identity.access_tokens import TokenInvalid
from reconciler.emulator.identity.routes import AUDIENCES, Identities, SignIn


class Authorization:
    """The check of who sends a request."""

    def __init__(self, context: Context) -> None:
        self._identities = Identities(context)
        self._tokens = SignIn(context).tokens
        self._clock = context.clock
        self._home = context.studio.principal.tenant_id
        self._authority = f"{context.secure_url}/{self._home}"

    def principal_of(self, authorization: str | None) -> Principal:
        """Return the principal that an ``Authorization`` header proves.

        Raises:
            ArmError: 401 ``AuthenticationFailed``, ``InvalidAuthenticationToken``, ``ExpiredAuthenticationToken``,
                ``InvalidAuthenticationTokenAudience`` or ``InvalidAuthenticationTokenTenant``.
        """
        if not authorization:
            raise self._challenge(
                "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        scheme, _, text = authorization.partition(" ")
        try:
            # Credentials of another scheme are not a token.
            token = self._tokens.read(text.strip() if scheme.lower() == "bearer" else "")
        except TokenInvalid:
            raise self._challenge("InvalidAuthenticationToken", "The access token is invalid.") from None
        now = self._clock()
        if token.expires <= now:
            raise self._challenge(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{timestamp(token.expires)}' is earlier than current UTC time "
                f"'{timestamp(now)}'.",
            )
        if token.audience.rstrip("/") not in AUDIENCES:
            raise self._challenge(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{token.audience}'. It should "
                f"exactly match with one of the allowed audiences '{','.join(AUDIENCES)}'.",
            )
        if token.tenant_id != self._home:
            raise self._challenge(
                "InvalidAuthenticationTokenTenant",
                f"The access token is from the wrong issuer 'https://sts.windows.net/{token.tenant_id}/'. It must "
                f"match the tenant 'https://sts.windows.net/{self._home}/' associated with this subscription.",
            )
        principal = self._identities.find(token.tenant_id, token.client_id)
        if principal is None:
            # The principal was taken out of the studio file after the token was issued.
            raise self._challenge("InvalidAuthenticationToken", "The access token is invalid.")
        return principal

    def _challenge(self, code: str, message: str) -> ArmError:
        challenge = (
            f'Bearer authorization_uri="{self._authority}", error="invalid_token", error_description="{message}"'
        )
        return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})
