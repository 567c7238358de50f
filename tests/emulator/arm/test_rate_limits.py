"""Token buckets of Azure Resource Manager, by a clock that moves when a test says so (new-protocol 5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.emulator.arm.errors import ArmError
from reconciler.emulator.arm.rate_limits import RateLimits
from reconciler.emulator.config.settings import RequestRates

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices/"
    "BreastCancer"
)
REMAINING = "x-ms-ratelimit-remaining-subscription"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def documented(clock):
    """The documented limits, enforced."""
    return RateLimits(RequestRates(enforced=True), clock)


def spent(limits, method, times, principal="somebody", subscription=SUBSCRIPTION):
    """Whether each of so many calls is let in."""
    let_in = []
    for _ in range(times):
        try:
            limits.spend(method, subscription, principal)
        except ArmError:
            let_in.append(False)
        else:
            let_in.append(True)
    return let_in


# -- the buckets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "burst", "per_second"),
    [("GET", 250, 25), ("HEAD", 250, 25), ("PUT", 200, 10), ("PATCH", 200, 10), ("POST", 200, 10), ("DELETE", 200, 10)],
)
def test_a_burst_empties_a_bucket_and_each_second_gives_some_back(documented, clock, method, burst, per_second):
    assert spent(documented, method, burst + 1) == [True] * burst + [False]
    clock.advance(1)
    assert spent(documented, method, per_second + 1) == [True] * per_second + [False]
    clock.advance(3600)
    # A bucket never holds more than it can.
    assert spent(documented, method, burst + 1) == [True] * burst + [False]


def test_the_headers_count_down_truthfully_and_up_again(documented, clock):
    left = [documented.spend("GET", SUBSCRIPTION, "somebody") for _ in range(3)]
    assert [headers[f"{REMAINING}-reads"] for headers in left] == ["249", "248", "247"]
    assert [headers[f"{REMAINING}-global-reads"] for headers in left] == ["3749", "3748", "3747"]
    clock.advance(0.08)
    assert documented.spend("GET", SUBSCRIPTION, "somebody")[f"{REMAINING}-reads"] == "248"


def test_reads_writes_and_deletes_have_buckets_of_their_own(documented):
    assert not all(spent(documented, "GET", 251))
    assert documented.spend("PATCH", SUBSCRIPTION, "somebody")[f"{REMAINING}-writes"] == "199"
    assert documented.spend("DELETE", SUBSCRIPTION, "somebody")[f"{REMAINING}-deletes"] == "199"


def test_a_bucket_is_that_of_one_principal_in_one_subscription(documented):
    assert not all(spent(documented, "GET", 251))
    assert all(spent(documented, "GET", 1, principal="another"))
    assert all(spent(documented, "GET", 1, subscription="another"))


def test_all_principals_together_have_fifteen_times_as_much(documented):
    for number in range(15):
        assert all(spent(documented, "PUT", 200, principal=f"principal {number}"))
    assert spent(documented, "PUT", 1, principal="one more") == [False]


def test_a_refused_call_costs_nothing_and_says_when_to_come_again(clock):
    limits = RateLimits(RequestRates(enforced=True, writes={"burst": 1, "per_second": 0.1}), clock)
    limits.spend("PUT", SUBSCRIPTION, "somebody")
    clock.advance(2.5)
    for _ in range(3):
        with pytest.raises(ArmError) as caught:
            limits.spend("PUT", SUBSCRIPTION, "somebody")
    assert (caught.value.status, caught.value.code) == (429, "SubscriptionRequestsThrottled")
    assert caught.value.headers["Retry-After"] == "8"
    assert caught.value.headers[f"{REMAINING}-writes"] == "0"
    clock.advance(8)
    assert spent(limits, "PUT", 2) == [True, False]


def test_what_is_about_no_subscription_has_a_bucket_too(documented):
    headers = documented.spend("GET", None, "somebody")
    assert headers == {"x-ms-ratelimit-remaining-tenant-reads": "249"}


def test_without_enforcement_the_hour_counts_down_and_nothing_is_refused(clock):
    limits = RateLimits(RequestRates(), clock)
    assert all(spent(limits, "DELETE", 1300))
    assert limits.spend("PUT", SUBSCRIPTION, "somebody") == {f"{REMAINING}-writes": "0"}
    clock.advance(3600)
    assert limits.spend("PUT", SUBSCRIPTION, "somebody") == {f"{REMAINING}-writes": "1199"}


# -- over HTTP ---------------------------------------------------------------------------------------------------------


async def test_a_call_too_many_is_a_429_with_the_documented_code(start_arm, tmp_path, clock):
    rates = {"enforced": True, "reads": {"burst": 2, "perSecond": 0.5}}
    with start_arm(tmp_path / "state", clock=clock, limits={"requestRates": rates}) as local:
        left = [(await local.send("GET", SERVICE)).headers[f"{REMAINING}-reads"] for _ in range(2)]
        assert left == ["1", "0"]
        reply = await local.send("GET", SERVICE)
        assert (reply.status, reply.code) == (429, "SubscriptionRequestsThrottled")
        assert reply.headers["Retry-After"] == "2"
        assert reply.headers[f"{REMAINING}-reads"] == "0"
        client = local.context.studio.principal.client_id
        assert f"subscription '{SUBSCRIPTION}' actor '{client}'" in reply.body["error"]["message"]
        # Polls cost reads like any others, and a token that is not accepted costs nothing.
        assert (await local.client.send("GET", f"{SERVICE}?api-version=2017-01-01", token="made up")).status == 401
        clock.advance(2)
        assert (await local.send("GET", SERVICE)).status == 200
