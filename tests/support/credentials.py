"""Whoever signs in, as the Azure libraries want it."""

from __future__ import annotations

from azure.core.credentials import AccessToken

TOKEN = "arm-t0ken"


class Credential:
    """Has a token that is good for long; notes for whom it was asked, and fails with ``error`` if there is one."""

    def __init__(self, token: str = TOKEN) -> None:
        self.scopes: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self._token = token

    async def get_token(self, *scopes, **_):
        self.scopes.append(scopes)
        if self.error is not None:
            raise self.error
        return AccessToken(self._token, 2**40)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass
