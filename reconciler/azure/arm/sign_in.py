"""The token of Azure Resource Manager, and whom it may be sent to."""

from __future__ import annotations

from collections import deque
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from reconciler.azure.clouds import Cloud, is_loopback
from reconciler.azure.errors import InvalidReply, SignInError

_TOKENS_IN_USE = 4


class ResourceManagerSignIn(AsyncBearerTokenCredentialPolicy[HttpRequest, AsyncHttpResponse]):
    """Adds the token, to calls of the cloud's own Resource Manager alone.

    Operations and next pages are followed by the absolute URLs that the service gives (new-protocol 3),
    regional hosts among them; a token must not follow one that leads elsewhere.
    """

    def __init__(self, cloud: Cloud, credential: AsyncTokenCredential) -> None:
        super().__init__(credential, cloud.scope)
        # A Resource Manager that is reached with TLS does not lead anywhere without it.
        self._allow_http = urlsplit(cloud.resource_manager_url).scheme == "http"
        self._host = urlsplit(cloud.resource_manager_url).netloc
        self.tokens: deque[str] = deque(maxlen=_TOKENS_IN_USE)
        """The tokens that were sent, which an error that repeats its request must not bring into a message."""

    async def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        """Add the token; raises InvalidReply where the request leads elsewhere, SignInError where it goes in clear."""
        parts = urlsplit(request.http_request.url)
        if parts.netloc != self._host and not parts.netloc.endswith(f".{self._host}"):
            message = f"the service links to {parts.netloc}, not {self._host}, so no token is sent"
            raise InvalidReply(message, operation="follow a link")
        if parts.scheme != "https":
            if not self._allow_http or not is_loopback(parts.hostname or ""):
                raise SignInError(f"no token is sent to {parts.netloc} without TLS")
            request.context.options["enforce_https"] = False
        await super().on_request(request)
        token = request.http_request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            self.tokens.append(token)
