"""Microsoft's own client against the local Azure Resource Manager (new-protocol 7)."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.core.pipeline.policies import SansIOHTTPPolicy
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


@asynccontextmanager
async def client_of(local, token=None):
    token = local.token if token is None else token
    client = ResourceManagementClient(
        Credential(token),
        SUBSCRIPTION,
        base_url=local.url,
        authentication_policy=BearerOverHttp(token),
        polling_interval=0.02,
        retry_total=0,
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
