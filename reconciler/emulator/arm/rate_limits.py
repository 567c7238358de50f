"""How many calls Azure Resource Manager takes, and the headers that show what is left (new-protocol 5).

Token buckets as documented today: one for each principal, subscription and sort of call, and a larger one for all
principals of the subscription. Where they are not enforced, nothing is refused, and the headers count down the calls of
the hour from the figures of the recordings, in which a DELETE is a write.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from reconciler.emulator.arm.errors import ArmError
from reconciler.emulator.config.settings import Rate, RequestRates

Sort: TypeAlias = Literal["reads", "writes", "deletes"]

_PER_HOUR = {"reads": 15_000, "writes": 1_200}
_HEADER = "x-ms-ratelimit-remaining"


@dataclass
class _Bucket:
    rate: Rate
    tokens: float
    filled_at: datetime

    def refill(self, now: datetime) -> None:
        # A clock that was set back gives nothing, and takes nothing away.
        elapsed = max(0.0, (now - self.filled_at).total_seconds())
        self.tokens = min(self.rate.burst, self.tokens + elapsed * self.rate.per_second)
        self.filled_at = now

    @property
    def seconds_to_wait(self) -> int:
        """Whole seconds until the bucket holds a call again; 0 if it holds one now."""
        return math.ceil(max(0.0, 1 - self.tokens) / self.rate.per_second)


class RateLimits:
    """The counts of calls to Azure Resource Manager.

    Args:
        rates: the size of the buckets, and whether they are enforced.
        clock: the time now.
    """

    def __init__(self, rates: RequestRates, clock: Callable[[], datetime]) -> None:
        self._rates = rates
        self._clock = clock
        self._buckets: dict[tuple[str, str, Sort], _Bucket] = {}
        self._hour: datetime | None = None
        self._used: dict[tuple[str, str, Sort], int] = {}

    def spend(self, method: str, subscription: str | None, principal: str) -> dict[str, str]:
        """Take a call from what the caller has left.

        Args:
            method: of the request.
            subscription: GUID, or None for a call that is about the tenant.
            principal: who calls.

        Returns:
            The headers that show what is left.

        Raises:
            ArmError: 429 with ``Retry-After``; it carries those headers as well.
        """
        scope = "tenant" if subscription is None else "subscription"
        sort: Sort = "reads" if method in ("GET", "HEAD") else "writes"
        if not self._rates.enforced:
            return {f"{_HEADER}-{scope}-{sort}": self._left_in_hour((subscription or "", principal, sort))}
        if method == "DELETE":
            sort = "deletes"
        own = self._bucket((subscription or "", principal, sort), getattr(self._rates, sort))
        # The shared bucket is not documented for a tenant.
        buckets = {f"{_HEADER}-{scope}-{sort}": own}
        if subscription is not None:
            rate, factor = own.rate, self._rates.subscription_factor
            shared = Rate(burst=rate.burst * factor, per_second=rate.per_second * factor)
            buckets[f"{_HEADER}-subscription-global-{sort}"] = self._bucket((subscription, "", sort), shared)
        wait = max(bucket.seconds_to_wait for bucket in buckets.values())
        if wait == 0:
            for bucket in buckets.values():
                bucket.tokens -= 1
        headers = {name: str(int(bucket.tokens)) for name, bucket in buckets.items()}
        if wait:
            raise _throttled(sort, subscription, principal, wait, headers)
        return headers

    def _bucket(self, key: tuple[str, str, Sort], rate: Rate) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(rate, rate.burst, now)
        bucket.refill(now)
        return bucket

    def _left_in_hour(self, key: tuple[str, str, Sort]) -> str:
        hour = self._clock().replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour, self._used = hour, {}
        self._used[key] = self._used.get(key, 0) + 1
        return str(max(0, _PER_HOUR[key[2]] - self._used[key]))


def _throttled(sort: Sort, subscription: str | None, principal: str, wait: int, headers: dict[str, str]) -> ArmError:
    """Return the 429 of ARM; for a tenant, the code is inferred [I]."""
    scope, name = ("tenant", "") if subscription is None else ("subscription", f" '{subscription}'")
    return ArmError(
        429,
        f"{scope.title()}RequestsThrottled",
        f"Number of '{sort.removesuffix('s')}' requests for {scope}{name} actor '{principal}' exceeded. Please try "
        f"again after '{wait}' seconds.",
        headers={**headers, "Retry-After": str(wait)},
    )
