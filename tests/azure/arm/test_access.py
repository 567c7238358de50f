"""What Resource Manager says of us and of what pays, and what the hosts' clocks show."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from reconciler.azure.arm.access import Permission, caller_of, permissions, provider_state, subscription
from reconciler.azure.arm.commitment_plans import Quantity, list_plans, services_of
from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.clocks import ahead_by
from reconciler.azure.errors import Retired, ServiceError, SignInError
from reconciler.azure.retries import Retries
from tests.support.credentials import Credential

SUBSCRIPTION = "d128f140-94e6-4175-87a7-954b9d27db16"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
ASKED = f"{GROUP}/providers/Microsoft.Authorization/permissions"
PLANS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning/commitmentPlans"
PLAN = f"{GROUP}/providers/Microsoft.MachineLearning/commitmentPlans/dev"


@pytest.fixture
async def definitions(cloud):
    async with Definitions(cloud, Credential(), retries=Retries(backoff=0)) as made:
        yield made


async def test_permissions_are_read_over_all_pages(peer, definitions):
    more = {"value": [{"actions": ["*/read"], "notActions": None}], "nextLink": None}
    peer.on(
        "GET",
        ASKED,
        peer.says({"value": [{"actions": ["*"], "notActions": ["*/write"]}, "?"], "nextLink": f"{peer.url}/more"}),
    )
    peer.on("GET", "/more", peer.says(more))
    assert await permissions(definitions, GROUP) == (Permission(("*",), ("*/write",)), Permission(("*/read",)))
    assert [seen.query for seen in peer.seen_of("GET", ASKED)] == [{"api-version": "2015-07-01"}]


async def test_who_may_not_ask_is_told_so(peer, definitions):
    peer.on("GET", ASKED, peer.refuses(403, "AuthorizationFailed"))
    with pytest.raises(SignInError, match="403 AuthorizationFailed"):
        await permissions(definitions, GROUP)


async def test_a_subscription_and_its_provider_have_a_state(peer, definitions):
    peer.on("GET", f"/subscriptions/{SUBSCRIPTION}", peer.says({"displayName": "Contoso", "state": "Warned"}))
    provider = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning"
    peer.on("GET", provider, peer.says({"registrationState": "NotRegistered"}))
    assert await subscription(definitions, SUBSCRIPTION) == ("Contoso", "Warned")
    assert await provider_state(definitions, SUBSCRIPTION) == "NotRegistered"
    peer.on("GET", provider, peer.refuses(400, "InvalidResourceNamespace"))
    with pytest.raises(Retired, match="31 August 2024"):
        await provider_state(definitions, SUBSCRIPTION)


async def test_a_commitment_plan_tells_what_is_left_and_whom_it_pays_for(peer, definitions):
    quantity = {"allowance": 2.0, "amount": 0.5, "includedQuantityMeter": "m"}
    properties = {
        "suspendPlanOnOverage": True,
        "refillFrequencyInDays": 30,
        "maxAssociationLimit": 10000,
        "creationDate": "2026-11-01T00:00:00.1234567Z",
        "includedQuantities": {"machineLearningWebServiceComputeHours": quantity},
    }
    made = {
        "id": PLAN,
        "name": "dev",
        "location": "southcentralus",
        "sku": {"name": "DevTest"},
        "properties": properties,
    }
    peer.on("GET", PLANS, peer.says({"value": [made, {"name": "no id"}]}))
    service = f"{GROUP}/providers/Microsoft.MachineLearning/webServices/X"
    peer.on(
        "GET",
        f"{PLAN}/commitmentAssociations",
        peer.says({"value": [{"properties": {"associatedResourceId": service}}, {"properties": None}]}),
    )
    (plan,) = await list_plans(definitions, SUBSCRIPTION)
    assert (plan.hours, plan.transactions, plan.stops) == (Quantity(2.0, 0.5), None, True)
    assert (plan.sku, plan.refill_days, plan.most_services) == ("DevTest", 30, 10_000)
    assert plan.created is not None
    assert plan.created.date().isoformat() == "2026-11-01"
    assert await services_of(definitions, plan) == {service.lower()}


def token(**claims):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return SecretStr(f"e30.{body}.signature")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (token(tid="t-1", appid="app-1"), ("t-1", "app-1")),
        (token(tid="t-1", azp="app-2"), ("t-1", "app-2")),
        (token(tid="t-1", upn="ann@contoso.com", appid="app-1"), ("t-1", "ann@contoso.com")),
        (SecretStr("opaque"), ("", "")),
        (SecretStr("a.b.c"), ("", "")),
    ],
)
def test_a_token_says_who_we_are_or_nothing(given, expected):
    caller = caller_of(given)
    assert expected == (caller.tenant, caller.name)


async def test_the_clock_of_each_host_is_known_from_its_last_answer_a_refusal_included(peer, http):
    late = format_datetime(datetime.now(UTC) - timedelta(minutes=20), usegmt=True)
    peer.on("GET", "/x", peer.says({}), peer.refuses(403, "No", Date=late))
    await http.request("GET", f"{peer.url}/x", operation="ask")
    host = peer.url.removeprefix("http://")
    assert abs(http.clocks[host]) < timedelta(seconds=5)
    with pytest.raises(ServiceError):
        await http.request("GET", f"{peer.url}/x", operation="ask")
    assert abs(http.clocks[host] + timedelta(minutes=20)) < timedelta(seconds=5)


@pytest.mark.parametrize("date", [None, "", "soon", "Tue, 99 Nov 2026 09:30:00 GMT"])
def test_no_date_tells_nothing(date):
    assert ahead_by(date, 0.0) is None
