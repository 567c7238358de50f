"""Lists: pages, the generic list of resources, and what is told about the provider (new-protocol 3, 5, 7)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml"
ALL = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning"
SERVICES = f"{GROUP}/providers/Microsoft.MachineLearning/webServices"
PLANS = f"{GROUP}/providers/Microsoft.MachineLearning/commitmentPlans"
RESOURCES = f"/subscriptions/{SUBSCRIPTION}/resources"
VERSION_OF_INDEX = {"api-version": "2025-04-01"}
VERSION_OF_PLANS = {"api-version": "2016-05-01-preview"}
SMALL_PAGES = {"listPageSize": 2}


async def pages(local, path, **query):
    """Every page of a list."""
    found = [await local.get(path, **query)]
    while "nextLink" in found[-1]:
        found.append(await local.get(found[-1]["nextLink"]))
    return found


def names(*found):
    return [[item["name"] for item in page["value"]] for page in found]


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("collection", [SERVICES, f"{ALL}/webServices"])
async def test_a_list_goes_on_behind_its_next_link(start_arm, tmp_path, collection):
    with start_arm(tmp_path / "state", behaviour=SMALL_PAGES) as local:
        first, second = await pages(local, collection)
        assert names(first, second) == [["BreastCancer", "Training"], ["ByUrl"]]
        assert "nextLink" not in second
        link = urlsplit(first["nextLink"])
        assert f"{link.scheme}://{link.netloc}{link.path}" == local.url + collection
        assert set(parse_qs(link.query)) == {"api-version", "$skiptoken"}


async def test_a_page_that_is_exactly_full_is_the_last_one(start_arm, tmp_path):
    with start_arm(tmp_path / "state", behaviour={"listPageSize": 3}) as local:
        assert names(*await pages(local, SERVICES)) == [["BreastCancer", "Training", "ByUrl"]]


async def test_what_is_deleted_between_two_pages_neither_hides_nor_repeats_another(start_arm, tmp_path):
    with start_arm(tmp_path / "state", behaviour=SMALL_PAGES) as local:
        first = await local.get(SERVICES)
        await local.converged(await local.send("DELETE", f"{SERVICES}/BreastCancer"))
        assert names(await local.get(first["nextLink"])) == [["ByUrl"]]
        # Even the item that the link names may go.
        await local.converged(await local.send("DELETE", f"{SERVICES}/Training"))
        assert names(await local.get(first["nextLink"])) in ([["ByUrl"]], [[]])


@pytest.mark.parametrize("name", ["$skiptoken", "$skipToken"])
async def test_a_token_from_elsewhere_is_refused(local, name):
    reply = await local.send("GET", SERVICES, **{name: "made up"})
    assert (reply.status, reply.code) == (400, "InvalidSkipToken")


async def test_plans_have_pages_too(start_arm, tmp_path):
    with start_arm(tmp_path / "state", behaviour=SMALL_PAGES) as local:
        found = await pages(local, PLANS, **VERSION_OF_PLANS)
        assert names(*found) == [["contoso-plan", "plan"], ["other"]]


# -- the generic list --------------------------------------------------------------------------------------------------


async def test_the_generic_list_has_every_resource_without_its_properties(local):
    items = (await local.get(RESOURCES, **VERSION_OF_INDEX))["value"]
    assert [item["name"] for item in items] == [
        "BreastCancer",
        "Training",
        "ByUrl",
        "contoso-plan",
        "plan",
        "other",
    ]
    assert items[0] == {
        "id": f"{SERVICES}/BreastCancer",
        "name": "BreastCancer",
        "type": "Microsoft.MachineLearning/webServices",
        "location": "southcentralus",
        "tags": {},
    }
    assert items[-1]["sku"] == {"name": "S2", "tier": "Standard", "capacity": 2}


async def test_the_generic_list_of_a_group_has_what_is_in_it(local):
    await local.send(
        "PUT", f"/subscriptions/{SUBSCRIPTION}/resourcegroups/empty", {"location": "West Europe"}, **VERSION_OF_INDEX
    )
    assert len((await local.get(f"{GROUP}/resources", **VERSION_OF_INDEX))["value"]) == 6
    empty = GROUP.replace("contoso-ml", "empty")
    assert await local.get(f"{empty}/resources", **VERSION_OF_INDEX) == {"value": []}
    absent = await local.send("GET", GROUP.replace("contoso-ml", "absent") + "/resources", **VERSION_OF_INDEX)
    assert absent.code == "ResourceGroupNotFound"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("resourceType eq 'Microsoft.MachineLearning/webServices'", ["BreastCancer", "Training", "ByUrl"]),
        ("resourcetype EQ 'microsoft.machinelearning/commitmentplans'", ["contoso-plan", "plan", "other"]),
        ("resourceType ne 'Microsoft.MachineLearning/webServices' and name ne 'plan'", ["contoso-plan", "other"]),
        ("name eq 'Training' or name eq 'plan'", ["Training", "plan"]),
        ("substringof('plan', name)", ["contoso-plan", "plan"]),
        ("location eq 'South Central US' and resourceGroup eq 'CONTOSO-ML' and startswith(name, 'By')", ["ByUrl"]),
        ("tagName eq 'team' and tagValue eq 'a'", ["Training"]),
        ("startswith(tagName, 'te')", ["Training"]),
        ("tagName eq 'team' and tagValue eq 'b'", []),
        ("name eq 'it''s'", []),
    ],
)
async def test_a_filter_selects(local, text, found):
    body = {"tags": {"team": "a", "other": "b"}, "properties": {"packageType": "Graph"}}
    await local.converged(await local.send("PATCH", f"{SERVICES}/Training", body))
    items = (await local.get(RESOURCES, **VERSION_OF_INDEX, **{"$filter": text}))["value"]
    assert [item["name"] for item in items] == found


@pytest.mark.parametrize("text", ["nonsense", "colour eq 'red'", "name eq 'a' xor name eq 'b'", "name eq 'a' and"])
async def test_a_filter_that_is_not_understood_is_refused(local, text):
    reply = await local.send("GET", RESOURCES, **VERSION_OF_INDEX, **{"$filter": text})
    assert (reply.status, reply.code) == (400, "InvalidFilterInQueryString")


async def test_expand_adds_times_and_the_state(local):
    query = {"$expand": "createdTime,changedTime,provisioningState", "$top": "1", **VERSION_OF_INDEX}
    body = await local.get(RESOURCES, **query)
    (item,) = body["value"]
    properties = (await local.get())["properties"]
    assert (item["createdTime"], item["changedTime"]) == (properties["createdOn"], properties["modifiedOn"])
    assert item["provisioningState"] == "Succeeded"
    # The rest is behind the link, with the same wishes.
    assert "provisioningState" in (await local.get(body["nextLink"]))["value"][0]


# -- the provider ------------------------------------------------------------------------------------------------------


async def test_the_provider_is_registered_and_shows_its_types_and_their_versions(local):
    body = await local.get(ALL, **VERSION_OF_INDEX)
    assert (body["namespace"], body["registrationState"]) == ("Microsoft.MachineLearning", "Registered")
    versions = {each["resourceType"]: each["apiVersions"] for each in body["resourceTypes"]}
    assert versions["webServices"] == ["2017-01-01", "2016-05-01-preview"]
    assert versions["commitmentPlans"] == ["2016-05-01-preview"]
    assert "South Central US" in body["resourceTypes"][0]["locations"]
    assert await local.get(ALL.rpartition("/")[0], **VERSION_OF_INDEX) == {"value": [body]}
    assert (await local.send("POST", f"{ALL}/register", **VERSION_OF_INDEX)).body == body
    other = await local.send("GET", ALL.replace("MachineLearning", "Nothing"), **VERSION_OF_INDEX)
    assert other.code == "InvalidResourceNamespace"


@pytest.mark.parametrize("version", ["2017-01-01", "2016-05-01-preview"])
async def test_the_provider_shows_its_operations(local, version):
    path = "/providers/Microsoft.MachineLearning/operations"
    operations = (await local.get(path, **{"api-version": version}))["value"]
    assert "Microsoft.MachineLearning/webServices/write" in {operation["name"] for operation in operations}
    assert set(operations[0]["display"]) == {"provider", "resource", "operation", "description"}


async def test_what_the_tenant_does_not_have_is_not_found(local):
    assert (await local.send("GET", "/providers/Microsoft.MachineLearning/nothing")).code == "InvalidResourceType"
    assert (await local.send("POST", "/providers/Microsoft.MachineLearning/operations")).status == 405
    assert (await local.client.send("GET", "/providers/Microsoft.MachineLearning/operations")).status == 401
