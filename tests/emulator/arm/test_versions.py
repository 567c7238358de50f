"""2016-05-01-preview beside 2017-01-01 (new-protocol 1)."""

from __future__ import annotations

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml"
PROVIDER = f"{GROUP}/providers/Microsoft.MachineLearning"
SERVICES = f"{PROVIDER}/webServices"
SERVICE = f"{SERVICES}/BreastCancer"
MINE = f"{SERVICES}/Mine"
PREVIEW = {"api-version": "2016-05-01-preview"}


def definition_of_2016(local):
    """A definition in the older contract: plain parameters, and booleans as text as in Microsoft's own test data."""
    body = local.definition(readOnly="false", exposeSampleData="true", parameters={"category": "Trigonometric"})
    body["properties"]["package"]["nodes"]["node1"]["parameters"] = {"Category": "Trigonometric"}
    return body


async def test_the_older_contract_has_plain_parameters_and_no_payload_members(local):
    reply = await local.send("PUT", MINE, definition_of_2016(local), **PREVIEW)
    assert reply.status == 201
    assert reply.body["properties"] == {"provisioningState": "Provisioning"}
    poll_url = reply.headers["Azure-AsyncOperation"]
    assert poll_url.endswith("api-version=2016-05-01-preview")
    await local.converged(reply)
    old, new = [(await local.get(MINE, **version))["properties"] for version in (PREVIEW, {})]
    assert old["parameters"] == {"category": "Trigonometric"}
    assert old["package"]["nodes"]["node1"]["parameters"] == {"Category": "Trigonometric"}
    assert not {"payloadsInBlobStorage", "payloadsLocation"} & set(old)
    assert (old["readOnly"], old["exposeSampleData"]) == (False, True)
    wrapped = {"value": "Trigonometric", "certificateThumbprint": ""}
    assert new["parameters"] == {"category": wrapped}
    assert new["package"]["nodes"]["node1"]["parameters"] == {"Category": wrapped}
    assert {name: old[name] for name in old if name not in ("parameters", "package")} == {
        name: new[name] for name in new if name not in ("parameters", "package", "payloadsInBlobStorage")
    }


async def test_a_secret_stays_one_through_the_older_contract(local):
    await local.converged(await local.send("PUT", MINE, local.definition()))
    package = (await local.get(MINE, **PREVIEW))["properties"]["package"]
    assert package["nodes"]["node1"]["parameters"]["Account Name"] == "bohurp"
    body = {"location": "South Central US", "properties": {"packageType": "Graph", "package": package}}
    await local.converged(await local.send("PATCH", MINE, body, **PREVIEW))
    key = (await local.get(MINE))["properties"]["package"]["nodes"]["node1"]["parameters"]["Account Key"]
    assert key["certificateThumbprint"] == "AB5C39DB6124"
    assert key["value"].startswith("MIICZAYJKoZIhvcNAQcDoIICVT")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"properties": {"packageType": "Graph"}}, "LocationRequired"),
        ({"location": "West Europe", "properties": {"packageType": "Graph"}}, "InvalidResourceLocation"),
        ({"location": "South Central US"}, "PropertiesRequired"),
    ],
)
async def test_a_patch_of_the_older_contract_needs_location_and_properties(local, body, code):
    assert (await local.send("PATCH", SERVICE, body, **PREVIEW)).code == code


async def test_a_list_of_the_older_contract_has_no_payload_members(local):
    new, old = [(await local.get(SERVICES, **version))["value"] for version in ({}, PREVIEW)]
    assert [item["name"] for item in old] == [item["name"] for item in new]
    del new[0]["properties"]["payloadsInBlobStorage"]
    assert old[0] == new[0]


@pytest.mark.parametrize(
    ("version", "parameter"),
    [("2017-01-01", "text"), ("2016-05-01-preview", {"value": "text"})],
)
async def test_a_parameter_in_the_form_of_the_other_contract_is_refused(local, version, parameter):
    body = {
        "location": "South Central US",
        "properties": {"packageType": "Graph", "parameters": {"category": parameter}},
    }
    reply = await local.send("PATCH", SERVICE, body, **{"api-version": version})
    assert (reply.status, reply.code) == (400, "InvalidParameter")


async def test_the_older_contract_knows_no_regions(local):
    reply = await local.send("POST", f"{SERVICE}/CreateRegionalBlob", region="westeurope", **PREVIEW)
    assert reply.status == 405
    assert await local.get(region="westeurope", **PREVIEW) == await local.get(**PREVIEW)


async def test_the_older_contract_shows_a_payload_of_any_size(start_arm, tmp_path):
    with start_arm(tmp_path / "state", limits={"inlinePayloadBytes": 500}) as local:
        await local.converged(await local.patch({"description": "now it is too large"}))
        assert "assets" not in (await local.get())["properties"]
        assert "assets" in (await local.get(**PREVIEW))["properties"]


@pytest.mark.parametrize(
    ("path", "supported"),
    [
        (SERVICE, "2017-01-01, 2016-05-01-preview"),
        (f"{PROVIDER}/commitmentPlans/plan", "2016-05-01-preview"),
    ],
)
async def test_a_version_that_a_type_does_not_have_is_refused_with_those_it_has(local, path, supported):
    reply = await local.send("GET", path, **{"api-version": "2015-01-01"})
    assert (reply.status, reply.code) == (400, "NoRegisteredProviderFound")
    assert f"The supported api-versions are '{supported}'." in reply.body["error"]["message"]


async def test_an_existing_service_answers_a_head_and_an_absent_one_does_not(local):
    assert (await local.send("HEAD", SERVICE)).status == 204
    assert (await local.send("HEAD", MINE)).status == 404
