"""Web services and endpoints of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from reconciler.azure.classic import (
    ClassicManagement,
    Endpoint,
    EndpointPatch,
    Resource,
    ResourceUpdate,
    WebService,
)
from reconciler.azure.errors import Conflict, InvalidReply, LostReply, NotFound, ServiceUnavailable, SignInError

W = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
S = "0123456789abcdef0123456789abcdef"
ROOT = f"/workspaces/{W}/webservices"
ENDPOINTS = f"{ROOT}/{S}/endpoints"

# The members of the one listing that was captured (classic-protocol 1.5), with made-up values.
LISTED = {
    "Name": "clinica",
    "Description": "Clinic A",
    "CreationTime": "2016-01-29T13:27:14.153Z",
    "WorkspaceId": W,
    "WebServiceId": S,
    "HelpLocation": "https://studio.azureml.net/apihelp/x",
    "PrimaryKey": "pr1mary==",
    "SecondaryKey": "s3condary==",
    "ApiLocation": "https://ussouthcentral.services.azureml.net/workspaces/w/services/e/",
    "PreventUpdate": False,
    "MaxConcurrentCalls": 20,
    "DiagnosticsTraceLevel": "None",
    "ThrottleLevel": "High",
}


@pytest.fixture
def management(peer, http):
    return ClassicManagement(http, f"{peer.url}/", W, SecretStr("t0ken=="))


async def test_services_are_listed(peer, management):
    peer.on(
        "GET",
        ROOT,
        peer.says(
            [{"Id": S, "Name": "Breast Cancer", "DefaultEndpointName": "default", "EndpointCount": 2}, {"Id": "b"}]
        ),
    )

    services = await management.list_services()

    assert services == [
        WebService(id=S, name="Breast Cancer", default_endpoint="default", endpoint_count=2),
        WebService(id="b", name=""),
    ]
    assert peer.seen[0].headers["authorization"] == "Bearer t0ken=="
    assert peer.seen[0].query == {}


@pytest.mark.parametrize("empty", ["204", "[]", "null"])
async def test_an_empty_list_comes_in_three_forms(peer, management, empty):
    answer = peer.nothing() if empty == "204" else peer.says_text(empty)
    peer.on("GET", ROOT, answer)
    peer.on("GET", ENDPOINTS, answer)

    assert await management.list_services() == []
    assert await management.list_endpoints(S) == []


async def test_an_endpoint_is_read_as_it_was_captured(peer, management):
    peer.on("GET", ENDPOINTS, peer.says([LISTED]))

    (endpoint,) = await management.list_endpoints(S)

    assert endpoint == Endpoint(
        name="clinica",
        description="Clinic A",
        api_location="https://ussouthcentral.services.azureml.net/workspaces/w/services/e",
        help_location="https://studio.azureml.net/apihelp/x",
        primary_key=SecretStr("pr1mary=="),
        throttle_level="High",
        max_concurrent_calls=20,
        diagnostics="None",
        resources=None,
        prevent_update=False,
        created=datetime(2016, 1, 29, 13, 27, 14, 153000, UTC),
        version=None,
    )
    assert "pr1mary" not in repr(endpoint)


async def test_members_that_are_not_shown_or_null_or_odd_are_none(peer, management):
    peer.on("GET", ENDPOINTS, peer.says([{"Name": "a"}, {"Name": "b", "MaxConcurrentCalls": None, "Version": "?"}]))

    assert await management.list_endpoints(S) == [Endpoint(name="a"), Endpoint(name="b")]


async def test_numbers_may_come_as_texts(peer, management):
    peer.on("GET", ENDPOINTS, peer.says([{"Name": "a", "MaxConcurrentCalls": "10"}]))

    assert (await management.list_endpoints(S))[0].max_concurrent_calls == 10


@pytest.mark.parametrize(
    ("location", "read"),
    [
        ({"BaseLocation": "https://a/", "RelativeLocation": "m/x.ilearner"}, ("https://a/", "m/x.ilearner")),
        (
            {"BaseLocation": "https://a", "RelativeLocation": "/m/x.ilearner", "SasBlobToken": "?s"},
            ("https://a/", "m/x.ilearner"),
        ),
        ({"BaseLocation": None, "RelativeLocation": "x"}, None),
        (None, None),
        ({}, None),
    ],
)
async def test_a_resource_shows_its_location_or_not(peer, management, location, read):
    peer.on(
        "GET",
        f"{ENDPOINTS}/a",
        peer.says({"Name": "a", "Resources": [{"Name": "M", "Kind": "TrainedModel", "Location": location}]}),
    )

    endpoint = await management.get_endpoint(S, "a")

    assert endpoint is not None
    assert endpoint.resources == (Resource("M", "TrainedModel", read),)


async def test_a_resource_without_a_name_is_none(peer, management):
    """classic-protocol 5, fact 3"""
    peer.on(
        "GET",
        f"{ENDPOINTS}/a",
        peer.says({"Name": "a", "Resources": [{"Name": "{}"}, {"Name": ""}, {}, {"Name": "M"}]}),
    )

    endpoint = await management.get_endpoint(S, "a")

    assert endpoint is not None
    assert endpoint.resources == (Resource("M"),)


@pytest.mark.parametrize("absent", ["204", "404", "null", "{}"])
async def test_a_missing_endpoint_comes_in_several_forms(peer, management, absent):
    """classic-protocol 1.3"""
    answers = {"204": peer.nothing(), "404": peer.refuses(404, "NotFound", "no", "WebServiceNotFound")}
    peer.on("GET", f"{ENDPOINTS}/a", answers.get(absent) or peer.says_text(absent))

    assert await management.get_endpoint(S, "a") is None


async def test_a_missing_workspace_is_not_a_missing_endpoint(peer, management):
    peer.on("GET", f"{ENDPOINTS}/a", peer.refuses(404, "NotFound", "wrong region?", "WorkspaceNotFound"))

    with pytest.raises(NotFound, match="WorkspaceNotFound"):
        await management.get_endpoint(S, "a")


async def test_an_endpoint_is_created_with_what_is_given(peer, management):
    peer.on("PUT", f"{ENDPOINTS}/clinica", peer.says(LISTED, 201))

    made = await management.create_endpoint(
        S, "clinica", description="Clinic A", throttle_level="High", max_concurrent_calls=20
    )

    assert made.name == "clinica"
    assert peer.seen[0].json == {"Description": "Clinic A", "ThrottleLevel": "High", "MaxConcurrentCalls": 20}


async def test_a_creation_without_a_body_is_read_back(peer, management):
    peer.on("PUT", f"{ENDPOINTS}/a", peer.nothing(200))
    peer.on("GET", f"{ENDPOINTS}/a", peer.says({"Name": "a"}))

    assert await management.create_endpoint(S, "a") == Endpoint(name="a")
    assert peer.seen[0].json == {}


async def test_a_creation_that_leaves_nothing_is_an_invalid_reply(peer, management):
    peer.on("PUT", f"{ENDPOINTS}/a", peer.nothing(200))
    peer.on("GET", f"{ENDPOINTS}/a", peer.nothing())

    with pytest.raises(InvalidReply, match="accepted the endpoint, but the endpoint does not exist"):
        await management.create_endpoint(S, "a")


async def test_a_name_that_exists_is_a_conflict(peer, management):
    peer.on("PUT", f"{ENDPOINTS}/a", peer.refuses(409, "Conflict", "Resource already exists."))

    with pytest.raises(Conflict):
        await management.create_endpoint(S, "a")


async def test_a_patch_has_the_documented_shape(peer, management):
    """classic-protocol 1.7: base with a slash, relative without one, the signature with its question mark."""
    peer.on("PATCH", f"{ENDPOINTS}/a", peer.nothing(200))

    await management.patch_endpoint(
        S,
        "a",
        EndpointPatch(
            resources=(
                ResourceUpdate("M [trained model]", "https://acct.blob", "/models/x.ilearner", SecretStr("sv=1&sig=x")),
            ),
            description="Clinic A",
            diagnostics="Error",
            throttle_level="High",
            max_concurrent_calls=7,
        ),
    )

    assert peer.seen[0].json == {
        "Resources": [
            {
                "Name": "M [trained model]",
                "Location": {
                    "BaseLocation": "https://acct.blob/",
                    "RelativeLocation": "models/x.ilearner",
                    "SasBlobToken": "?sv=1&sig=x",
                },
            }
        ],
        "Description": "Clinic A",
        "DiagnosticsTraceLevel": "Error",
        "ThrottleLevel": "High",
        "MaxConcurrentCalls": 7,
    }


async def test_a_patch_says_nothing_of_what_it_leaves_alone(peer, management):
    peer.on("PATCH", f"{ENDPOINTS}/a", peer.nothing(200))

    await management.patch_endpoint(S, "a", EndpointPatch(description=""))

    assert peer.seen[0].json == {"Description": ""}


async def test_a_patch_whose_answer_is_lost_is_not_repeated(peer, management):
    peer.on("PATCH", f"{ENDPOINTS}/a", peer.cuts)

    with pytest.raises(LostReply):
        await management.patch_endpoint(S, "a", EndpointPatch(description="x"))

    assert len(peer.seen) == 1


async def test_a_signature_that_the_service_repeats_is_not_in_the_error(peer, management):
    """Some answers to a PATCH quote the request (classic-protocol 4.2: "trained model URL invalid")."""
    peer.on("PATCH", f"{ENDPOINTS}/a", peer.refuses(500, "X", "trained model URL invalid: https://a/m?sv=1&sig=s1gn"))

    with pytest.raises(ServiceUnavailable, match="trained model URL invalid") as raised:
        await management.patch_endpoint(S, "a", EndpointPatch(description="x"))

    assert "s1gn" not in str(raised.value)


@pytest.mark.parametrize("status", [200, 204, 404])
async def test_deleting_what_is_not_there_is_fine(peer, management, status):
    peer.on("DELETE", f"{ENDPOINTS}/a", peer.refuses(404, "NotFound") if status == 404 else peer.nothing(status))

    await management.delete_endpoint(S, "a")


async def test_a_wrong_token_is_a_sign_in_error(peer, management):
    peer.on("GET", ROOT, peer.refuses(401, "Unauthorized", "no", "ManagementRequestUnauthorized"))

    with pytest.raises(
        SignInError, match=f"list web services of workspace {W}: 401 Unauthorized/ManagementRequestUnauthorized"
    ):
        await management.list_services()


async def test_names_are_quoted_in_urls(peer, management):
    peer.on_everything(peer.nothing())

    assert await management.get_endpoint("a/b", "../x?y") is None
    assert peer.seen[0].path == f"{ROOT}/a/b/endpoints/../x?y"  # one segment each on the wire, decoded here


async def test_an_object_where_a_list_belongs_is_an_invalid_reply(peer, management):
    peer.on("GET", ENDPOINTS, peer.says({"value": []}))

    with pytest.raises(InvalidReply):
        await management.list_endpoints(S)
