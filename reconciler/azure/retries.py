"""When a call is made again: azure-core's retry policy under this room's rules.

azure-core's own rules repeat a POST after a 503, and anything at all after a ``Retry-After``, however long.
Here the registration of a batch job must never be repeated (each repeat leaves an orphan, classic-protocol
4.3), a PATCH only if it was refused unread, and nobody waits for longer than `Retries.patience`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Repeat(Enum):
    """How far a call may be repeated."""

    ALWAYS = "always"
    """After any temporary failure, a broken connection among them."""
    IF_REFUSED = "if refused"
    """After a 429 alone: it was turned away before anything was done."""
    NEVER = "never"


class Retries(AsyncRetryPolicy[HttpRequest, AsyncHttpResponse]):
    """A few tries, close together.

    The option ``repeat`` of a call says how far it may go. Left out, the verb decides: GET, HEAD, PUT and
    DELETE always, the others if refused.
    """

    def __init__(self, *, tries: int = 4, backoff: float = 0.25, patience: float = 30.0) -> None:
        """Make a policy.

        Args:
            tries: How often a call is sent at most.
            backoff: Seconds before the second try; doubled for each later one.
            patience: The longest ``Retry-After`` (seconds) to wait for; a longer one is the caller's to plan.
        """
        more = tries - 1
        super().__init__(
            retry_total=more,
            retry_connect=more,
            retry_read=more,
            retry_status=more,
            retry_backoff_factor=backoff,
            retry_backoff_max=patience,
        )
        self.patience = patience

    def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of one call."""
        repeat = options.pop("repeat", None)
        return {**super().configure_retries(options), "repeat": repeat}

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Whether an answer calls for another try."""
        status = response.http_response.status_code
        if status not in _TEMPORARY or settings["total"] <= 0:
            return False
        if (self.get_retry_after(response) or 0.0) > self.patience:
            return False
        repeat = _repeat(settings, response.http_request)
        return repeat is Repeat.ALWAYS or (repeat is Repeat.IF_REFUSED and status == 429)

    def _is_method_retryable(
        self,
        settings: dict[str, Any],
        request: Any,
        response: Any = None,  # noqa: ARG002 - azure-core's signature
    ) -> bool:
        # azure-core asks this after a broken connection. Nobody knows then what was done.
        return _repeat(settings, request) is Repeat.ALWAYS

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Seconds before the next try when the service did not say. Not none: a storm must thin out."""
        tried = len(settings["history"])
        return float(min(settings["max_backoff"], settings["backoff"] * 2 ** max(0, tried - 1)))


def _repeat(settings: dict[str, Any], request: HttpRequest) -> Repeat:
    given = settings["repeat"]
    if isinstance(given, Repeat):
        return given
    return Repeat.ALWAYS if request.method.upper() in _IDEMPOTENT else Repeat.IF_REFUSED
