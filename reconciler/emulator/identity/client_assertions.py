"""Client assertions (RFC 7523): signed JWTs that a client proves itself with in place of a secret.

Two sorts: one that the client signs with the key of its registered certificate, and the token of a Kubernetes service
account whose cluster is trusted (workload identity federation). An emulator is that cluster too: a token file can
be had without one.
"""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from reconciler.emulator.config.principals import Principal
from reconciler.emulator.identity.errors import SignInRefused, invalid_client

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLUSTER = "https://cluster.local-studio.invalid/"
"""The issuer of service account tokens; it is nowhere to be reached, and its key is known."""
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
SERVICE_ACCOUNT_TOKEN_LIVES = timedelta(hours=1)

_ALGORITHMS = ("RS256", "PS256")
# Times are checked here, by the emulator's own clock.
_UNCHECKED = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Registration:
    """What a principal's assertions are checked against.

    Attributes:
        principal: Whose they are.
        certificate: The certificate that is registered for it.
        cluster_key: The key of the cluster whose service account stands for it.
    """

    principal: Principal
    certificate: x509.Certificate | None = field(repr=False)
    cluster_key: RSAPublicKey | None = field(repr=False)


def check(assertion: str, registration: Registration, audiences: Collection[str], now: datetime) -> None:
    """Let an assertion pass, or refuse it.

    An assertion may be used again until it expires, as clients do; its ``jti`` must be there all the same.

    Args:
        assertion: The JWT.
        registration: What is known of the client that it is to prove.
        audiences: What an assertion that a client signs itself may be meant for: the token endpoint, the tenant.
        now: The time.

    Raises:
        SignInRefused: it proves nothing.
    """
    claims, header = _unverified(assertion)
    if claims.get("iss") == registration.principal.client_id or registration.principal.federated is None:
        _check_own(assertion, claims, header, registration, audiences)
    else:
        _check_federated(assertion, claims, registration)
    _check_time(claims, now)


def service_account_token(key: RSAPrivateKey, subject: str, now: datetime) -> str:
    """Return a token as Kubernetes projects it into a pod."""
    claims = {
        "aud": [EXCHANGE_AUDIENCE],
        "iss": CLUSTER,
        "sub": subject,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + SERVICE_ACCOUNT_TOKEN_LIVES).timestamp()),
        "jti": str(uuid4()),
    }
    return jwt.encode(claims, key, "RS256", headers={"kid": "cluster"})


def _unverified(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        decoded = jwt.decode_complete(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise SignInRefused(400, "invalid_request", 50027, "JWT token is invalid or malformed.") from error
    claims: Mapping[str, Any] = decoded["payload"]
    header: Mapping[str, Any] = decoded["header"]
    return claims, header


def _check_own(
    assertion: str,
    claims: Mapping[str, Any],
    header: Mapping[str, Any],
    registration: Registration,
    audiences: Collection[str],
) -> None:
    client = registration.principal.client_id
    if claims.get("iss") != client or claims.get("sub") != client:
        raise invalid_client(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    certificate = registration.certificate
    if certificate is None or not _names(header, certificate):
        named = str(header.get("x5t#S256") or header.get("x5t") or header.get("kid") or "")[:100]
        raise invalid_client(
            700027,
            f"The certificate with identifier used to sign the client assertion is not registered on application. "
            f"[Reason - The key was not found., Thumbprint of key used by client: '{named}']",
        )
    _check_signature(assertion, certificate.public_key())
    if claims.get("aud") not in audiences:
        raise invalid_client(700023, "Client assertion audience claim does not match Realm issuer.")
    if not claims.get("jti"):
        raise invalid_client(50027, "JWT token is invalid or malformed: it has no 'jti'.")


def _check_federated(assertion: str, claims: Mapping[str, Any], registration: Registration) -> None:
    issuer, subject, audience = (claims.get(name) for name in ("iss", "sub", "aud"))
    federated = registration.principal.federated
    expected = None if federated is None else federated.subject
    nothing = "No matching federated identity record found for presented assertion"
    if issuer != CLUSTER:
        raise invalid_client(700211, f"{nothing} issuer '{issuer}'.")
    if subject != expected:
        raise invalid_client(700213, f"{nothing} subject '{subject}'.")
    if EXCHANGE_AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        raise invalid_client(700212, f"{nothing} audience '{audience}'.")
    _check_signature(assertion, registration.cluster_key)


def _check_signature(assertion: str, key: object) -> None:
    try:
        jwt.decode(assertion, key, algorithms=_ALGORITHMS, options=_UNCHECKED)  # type: ignore[arg-type]
    except (jwt.InvalidTokenError, jwt.InvalidKeyError, TypeError) as error:
        message = "Client assertion contains an invalid signature. [Reason - The key used is not the registered one.]"
        raise invalid_client(700027, message) from error


def _check_time(claims: Mapping[str, Any], now: datetime) -> None:
    try:
        until = datetime.fromtimestamp(float(claims["exp"]), UTC)
        since = datetime.fromtimestamp(float(claims.get("nbf", 0)), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise invalid_client(50027, "JWT token is invalid or malformed: 'exp' or 'nbf' is no time.") from error
    if not since - _SKEW <= now < until + _SKEW:
        raise invalid_client(
            700024,
            "Client assertion is not within its valid time range. "
            f"Current time: {now:%Y-%m-%dT%H:%M:%SZ}, assertion valid from {since:%Y-%m-%dT%H:%M:%SZ}, "
            f"expiry time of assertion {until:%Y-%m-%dT%H:%M:%SZ}.",
        )


def _names(header: Mapping[str, Any], certificate: x509.Certificate) -> bool:
    """Return whether a header says that this certificate's key signed: by either thumbprint, or by the key's id."""
    sha1, sha256 = (certificate.fingerprint(kind) for kind in (hashes.SHA1(), hashes.SHA256()))  # noqa: S303 - x5t is that
    given = (header.get("x5t#S256"), header.get("x5t"), header.get("kid"))
    if given[0] is not None:
        return _same(given[0], _encoded(sha256))
    if given[1] is not None:
        return _same(given[1], _encoded(sha1))
    # The key id of a registered certificate: its SHA-1 thumbprint in hex, or as x5t has it.
    return _same(given[2], _encoded(sha1)) or str(given[2]).lower() == sha1.hex()


def _same(given: object, expected: str) -> bool:
    # Some clients leave the padding on.
    return str(given).rstrip("=") == expected


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
