"""Microsoft's own client against the local Azure Resource Manager (new-protocol 7)."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from azure.mgmt.resource.resources.aio import ResourceManagementClient

VERSION = "2017-01-01"
SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices"
SERVICE = f"{SERVICES}/BreastCancer"


class BearerOverHttp(SansIOHTTPPolicy):
    """The client's own policy refuses to send a token over http, loopback or not."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    def on_request(self, request) -> None:
        request.http_request.headers["Authorization"] = f"Bearer {self._token}"


class Credential:
    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_scopes, **_options) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None:
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *args) -> None:
        pass


class Waiting(AioHttpTransport):
    """Tells how long the client waits between two tries, and moves the clock instead of waiting."""

    def __init__(self, clock) -> None:
        super().__init__()
        self._clock = clock
        self.waits = []

    async def sleep(self, duration) -> None:
        self.waits.append(duration)
        self._clock.now += timedelta(seconds=duration)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def client_of(local, token=None, **options):
    token = local.token if token is None else token
    client = ResourceManagementClient(
        Credential(token),
        SUBSCRIPTION,
        base_url=local.url,
        authentication_policy=BearerOverHttp(token),
        **{"polling_interval": 0.02, "retry_total": 0, **options},
    )
    async with client:
        yield client


def repointed(assets, uri):
    key = next(key for key, asset in assets.items() if asset["type"] == "Resource")
    return {**assets, key: {**assets[key], "locationInfo": {"uri": uri}}}


async def test_the_client_reads_a_definition_its_keys_and_a_list(local):
    async with client_of(local) as client:
        definition = await client.resources.get_by_id(SERVICE, api_version=VERSION)
        assert definition["properties"] == (await local.get())["properties"]
        keys = dict(await client.resources.get_by_id(f"{SERVICE}/listKeys", api_version=VERSION))
        assert sorted(keys) == ["primary", "secondary"]
        request = HttpRequest("GET", f"{{endpoint}}{SERVICES}?api-version={VERSION}")
        listed = (await client.send_request(request)).json()
        assert [service["name"] for service in listed["value"]] == ["BreastCancer", "Training", "ByUrl"]


async def test_the_client_patches_and_waits_until_the_new_model_is_shown(local):
    uri = await local.upload("models/next.ilearner", local.another_model)
    async with client_of(local) as client:
        before = await client.resources.get_by_id(SERVICE, api_version=VERSION)
        assets = repointed(before["properties"]["assets"], uri)
        body = {"properties": {"packageType": "Graph", "assets": assets}}
        poller = await client.resources.begin_update_by_id(SERVICE, body, api_version=VERSION)
        after = await poller.result()
    assert poller.status() == "Succeeded"
    assert after["properties"]["assets"] == assets
    assert local.served() == local.another_model


async def test_the_client_raises_what_the_operation_failed_with(local):
    async with client_of(local) as client:
        before = await client.resources.get_by_id(SERVICE, api_version=VERSION)
        assets = repointed(before["properties"]["assets"], f"{local.url}/contosostore/models/absent.ilearner")
        body = {"properties": {"packageType": "Graph", "assets": assets}}
        poller = await client.resources.begin_update_by_id(SERVICE, body, api_version=VERSION)
        with pytest.raises(HttpResponseError) as caught:
            await poller.result()
    assert (caught.value.status_code, caught.value.error.code) == (200, "BlobNotFound")


async def test_the_client_creates_and_deletes(local):
    mine = f"{SERVICES}/Mine"
    storage = {"name": "contosostore", "key": local.context.secrets.storage_key("contosostore")}
    body = {
        "location": "South Central US",
        "properties": {"title": "Mine", "packageType": "Graph", "storageAccount": storage},
    }
    async with client_of(local) as client:
        poller = await client.resources.begin_create_or_update_by_id(mine, body, api_version=VERSION)
        created = await poller.result()
        assert (created["name"], created["properties"]["provisioningState"]) == ("Mine", "Succeeded")
        for _ in range(2):  # The second finds nothing, and that is no error.
            await (await client.resources.begin_delete_by_id(mine, api_version=VERSION)).result()
        with pytest.raises(ResourceNotFoundError) as caught:
            await client.resources.get_by_id(mine, api_version=VERSION)
    assert caught.value.error.details[0].code == "WebServiceNotFound"


async def test_the_client_tells_a_conflict_and_a_bad_token_apart(start_arm, tmp_path):
    body = {"properties": {"packageType": "Graph"}}
    with start_arm(tmp_path / "state", timings={"provisioning": "30s"}) as local:
        async with client_of(local) as client:
            await client.resources.begin_update_by_id(SERVICE, body, api_version=VERSION, polling=False)
            with pytest.raises(ResourceExistsError):
                await client.resources.begin_update_by_id(SERVICE, body, api_version=VERSION)
        async with client_of(local, "made up") as client:
            with pytest.raises(ClientAuthenticationError) as caught:
                await client.resources.get_by_id(SERVICE, api_version=VERSION)
        assert caught.value.error.code == "InvalidAuthenticationToken"


async def test_the_client_lists_resource_groups(local):
    async with client_of(local) as client:
        assert [group.name async for group in client.resource_groups.list()] == ["contoso-ml"]
        assert (await client.resource_groups.get("contoso-ml")).location == "southcentralus"


async def test_the_client_follows_the_next_links_of_the_generic_list(start_arm, tmp_path):
    with start_arm(tmp_path / "state", behaviour={"listPageSize": 2}) as local:
        async with client_of(local) as client:
            wanted = "resourceType eq 'Microsoft.MachineLearning/webServices'"
            listed = client.resources.list(filter=wanted, expand="changedTime")
            by_page = [[resource.name async for resource in page] async for page in listed.by_page()]
            assert by_page == [["BreastCancer", "Training"], ["ByUrl"]]
            grouped = client.resources.list_by_resource_group("contoso-ml", filter=wanted)
            resources = [resource async for resource in grouped]
    assert [resource.name for resource in resources] == ["BreastCancer", "Training", "ByUrl"]
    assert resources[0].get("properties") is None


async def test_the_client_follows_the_next_link_of_the_providers_own_list(start_arm, tmp_path):
    with start_arm(tmp_path / "state", behaviour={"listPageSize": 2}) as local:
        async with client_of(local) as client:
            url, names = f"{{endpoint}}{SERVICES}?api-version={VERSION}", []
            while url:
                page = (await client.send_request(HttpRequest("GET", url))).json()
                names += [service["name"] for service in page["value"]]
                url = page.get("nextLink")
    assert names == ["BreastCancer", "Training", "ByUrl"]


async def test_the_client_waits_as_long_as_a_429_says_and_then_gets_its_answer(start_arm, tmp_path):
    clock = Clock()
    transport = Waiting(clock)
    rates = {"enforced": True, "reads": {"burst": 3, "perSecond": 0.2}}
    with start_arm(tmp_path / "state", clock=clock, limits={"requestRates": rates}) as local:
        async with client_of(local, retry_total=3, transport=transport) as client:
            for _ in range(4):
                definition = await client.resources.get_by_id(SERVICE, api_version=VERSION)
    assert definition["name"] == "BreastCancer"
    assert transport.waits == [5]


async def test_the_client_tries_a_patch_again_that_a_429_with_retry_after_refused(start_arm, tmp_path):
    clock = Clock()
    transport = Waiting(clock)
    rates = {"enforced": True, "writes": {"burst": 1, "perSecond": 0.1}}
    changes = {"limits": {"requestRates": rates}, "behaviour": {"writeWhileProvisioning": "lastWins"}}
    with start_arm(tmp_path / "state", clock=clock, **changes) as local:
        async with client_of(local, retry_total=3, transport=transport) as client:
            for _ in range(2):
                body = {"properties": {"packageType": "Graph"}}
                await client.resources.begin_update_by_id(SERVICE, body, api_version=VERSION, polling=False)
    assert transport.waits == [10]


async def test_the_client_prepares_a_region_and_reads_its_definition(local):
    async with client_of(local) as client:
        url = f"{{endpoint}}{SERVICE}/CreateRegionalBlob?region=westeurope&api-version={VERSION}"
        reply = await client.send_request(HttpRequest("POST", url))
        assert reply.status_code == 202
        poll = await client.send_request(HttpRequest("GET", reply.headers["Azure-AsyncOperation"]))
        while poll.json()["status"] == "Provisioning":
            poll = await client.send_request(HttpRequest("GET", reply.headers["Azure-AsyncOperation"]))
        regional = f"{{endpoint}}{SERVICE}?region=westeurope&api-version={VERSION}"
        body = (await client.send_request(HttpRequest("GET", regional))).json()
    assert body["properties"] == (await local.get())["properties"]


async def test_the_client_tells_whether_a_service_exists(local):
    async with client_of(local) as client:
        found = [
            await client.resources.check_existence_by_id(path, api_version=VERSION)
            for path in (SERVICE, f"{SERVICES}/Nothing")
        ]
    assert found == [True, False]


async def test_the_client_sees_that_the_provider_is_registered(local):
    async with client_of(local) as client:
        provider = await client.providers.get("Microsoft.MachineLearning")
    assert provider.registration_state == "Registered"
    assert "webServices" in [each.resource_type for each in provider.resource_types]


async def test_the_client_makes_changes_and_deletes_a_commitment_plan(local):
    plan, version = f"{SERVICES.replace('webServices', 'commitmentPlans')}/mine", "2016-05-01-preview"
    body = {"location": "South Central US", "sku": {"name": "S1", "tier": "Standard", "capacity": 1}}
    async with client_of(local) as client:
        made = await (await client.resources.begin_create_or_update_by_id(plan, body, api_version=version)).result()
        assert made["sku"]["name"] == "S1"
        patch = {"sku": {"name": "S2", "tier": "Standard", "capacity": 2}}
        changed = await (await client.resources.begin_update_by_id(plan, patch, api_version=version)).result()
        assert changed["sku"]["name"] == "S2"
        await (await client.resources.begin_delete_by_id(plan, api_version=version)).result()
        assert not await client.resources.check_existence_by_id(plan, api_version=version)
