"""Access tokens: issued as signed JWTs with the claims of the identity platform's, and checked as Azure does.

A token for Azure Resource Manager is a version 1.0 token whoever asks for it, so its issuer is ``sts.windows.net`` and
its client is ``appid``. Nothing is kept of a token that was issued: the key outlives a restart, and so do they.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from reconciler.emulator.config.principals import Principal
from reconciler.emulator.identity.certificates import rsa_key

ALGORITHM = "RS256"
Proof = Literal["secret", "certificate"]
"""What a client proved itself with; a federated token counts as a certificate."""

# As the identity platform does, for a service whose clock is behind.
_VALID_BEFORE = timedelta(minutes=5)
_UNCHECKED = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss")}


class TokenInvalid(Exception):
    """A token that was not issued here."""


@dataclass(frozen=True)
class AccessToken:
    """What a token says."""

    tenant_id: str
    client_id: str
    audience: str
    expires: datetime


class AccessTokens:
    """The issuer of one emulator.

    Args:
        pem: The signing key.
        clock: The time now.
        lifetime: How long a token is valid.
    """

    def __init__(self, pem: str, clock: Callable[[], datetime], lifetime: timedelta) -> None:
        self._key = rsa_key(pem)
        self._public = self._key.public_key()
        self._clock = clock
        self._lifetime = lifetime
        digest = hashlib.sha256(self._public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        self._key_id = base64.urlsafe_b64encode(digest[:20]).decode().rstrip("=")

    @property
    def lifetime(self) -> timedelta:
        """How long a token is valid."""
        return self._lifetime

    def issue(self, principal: Principal, audience: str, proof: Proof) -> str:
        """Return a token for an audience, which the token holds unchanged."""
        now = self._clock()
        issuer = f"https://sts.windows.net/{principal.tenant_id}/"
        claims = {
            "aud": audience,
            "iss": issuer,
            "iat": _seconds(now),
            "nbf": _seconds(now - _VALID_BEFORE),
            "exp": _seconds(now + self._lifetime),
            "appid": principal.client_id,
            "appidacr": "1" if proof == "secret" else "2",
            "idp": issuer,
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": principal.tenant_id,
            "uti": uuid4().hex,
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._key_id, "x5t": self._key_id})

    def read(self, token: str) -> AccessToken:
        """Return the claims of a token that was issued here; whether it is still valid is not checked.

        Raises:
            TokenInvalid: it is not a token that was issued here.
        """
        try:
            claims = jwt.decode(token, self._public, algorithms=[ALGORITHM], options=_UNCHECKED)  # type: ignore[arg-type]
            return AccessToken(
                str(claims["tid"]),
                str(claims["appid"]),
                str(claims["aud"]),
                datetime.fromtimestamp(int(claims["exp"]), UTC),
            )
        except (jwt.InvalidTokenError, KeyError, ValueError) as error:
            raise TokenInvalid from error

    def keys(self) -> Mapping[str, Any]:
        """Return the JSON Web Key Set with which anybody can check a token (RFC 7517)."""
        key = RSAAlgorithm.to_jwk(self._public, as_dict=True)
        public = {"kty": key["kty"], "n": key["n"], "e": key["e"]}
        return {"keys": [{**public, "use": "sig", "alg": ALGORITHM, "kid": self._key_id, "x5t": self._key_id}]}


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
