"""New web services through Resource Manager."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import jsonpatch
import pytest

from reconciler.azure.arm.definition import api_location, find_trained_model
from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.errors import (
    Conflict,
    DefinitionError,
    InvalidReply,
    LostReply,
    NotFound,
    Retired,
    ServiceError,
    ServiceUnavailable,
    SignInError,
    Unreachable,
)
from reconciler.azure.retries import Retries
from tests.support.credentials import Credential

SUBSCRIPTION = "d128f140-94e6-4175-87a7-954b9d27db16"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.MachineLearning/webServices"
ID = f"{SERVICES}/BreastCancer"
OPERATION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning/locations/x/operationsStatus/op-1"
MODEL = "Breast Cancer [trained model]"


def definition(**assets):
    """As a service shows it, of the members that matter here."""
    return {
        "id": ID,
        "properties": {
            "packageType": "Graph",
            "swaggerLocation": "https://ussouthcentral.services.azureml.net/subscriptions/s/services/g/swagger.json",
            "assets": assets
            or {
                "asset1": {
                    "name": "Score",
                    "type": "Module",
                    "locationInfo": {"uri": "aml://module/x", "credentials": ""},
                },
                "asset3": {"name": MODEL, "type": "Resource", "locationInfo": {"uri": "https://a/c/old.ilearner"}},
            },
        },
    }


@pytest.fixture
def credential():
    return Credential()


@pytest.fixture
async def definitions(cloud, credential):
    async with Definitions(cloud, credential, retries=Retries(backoff=0)) as made:
        yield made


def accepts(peer, state="Provisioning"):
    """The tiny first body of a PATCH, and where to poll (new-protocol 3)."""
    return peer.says(
        {"id": ID, "properties": {"provisioningState": state}},
        Azure_AsyncOperation=f"{peer.url}{OPERATION}?api-version=2017-01-01",
    )


async def test_a_definition_is_read_as_it_is(peer, definitions, credential):
    """new-protocol 1: a payload from a blob keeps its own letter case, and other members have nulls."""
    content = {
        "properties": {"assets": {"a": {"LocationInfo": {"Uri": "x"}}}, "exampleRequest": {"GlobalParameters": None}}
    }
    peer.on("GET", ID, peer.says(content))

    assert await definitions.get(ID) == content
    (seen,) = peer.seen
    assert seen.query == {"api-version": "2017-01-01"}
    assert seen.headers["authorization"] == "Bearer arm-t0ken"
    assert credential.scopes == [("https://management.azure.com/.default",)]


async def test_many_reads_share_one_sign_in(peer, definitions, credential):
    peer.on("GET", ID, peer.says({}))

    await asyncio.gather(*(definitions.get(ID) for _ in range(20)))

    assert len(credential.scopes) == 1


async def test_odd_characters_of_a_name_arrive(peer, definitions):
    name = "IcM 23.2016 {x}%"
    peer.on("GET", f"{SERVICES}/{name}", peer.says({"ok": True}))

    assert await definitions.get(f"{SERVICES}/{name}") == {"ok": True}


async def test_a_missing_service_is_not_found_with_both_codes(peer, definitions):
    peer.on("GET", ID, peer.refuses(404, "NotFound", "no", "WebServiceNotFound"))

    with pytest.raises(NotFound, match="get definition of BreastCancer: 404 NotFound/WebServiceNotFound"):
        await definitions.get(ID)


async def test_a_resource_manager_without_the_provider_is_the_retirement(peer, definitions):
    peer.on("GET", ID, peer.refuses(400, "NoRegisteredProviderFound", "No registered resource provider found."))

    with pytest.raises(Retired, match="31 August 2024"):
        await definitions.get(ID)


@pytest.mark.parametrize("answer", ["", "[]", "null", "<html>"])
async def test_an_answer_that_is_no_object_is_invalid(peer, definitions, answer):
    peer.on("GET", ID, peer.says_text(answer))

    with pytest.raises(InvalidReply):
        await definitions.get(ID)


async def test_a_read_is_repeated_and_a_patch_is_not(peer, definitions):
    peer.on("GET", ID, peer.cuts, peer.refuses(503, "X"), peer.says({}))
    peer.on("PATCH", ID, peer.refuses(503, "X", Retry_After="0"))

    await definitions.get(ID)
    with pytest.raises(ServiceUnavailable):
        await definitions.patch(ID, {})

    assert len(peer.seen_of("GET", ID)) == 3
    assert len(peer.seen_of("PATCH", ID)) == 1


async def test_a_patch_is_polled_until_it_has_succeeded(peer, definitions):
    peer.on("PATCH", ID, accepts(peer))
    peer.on(
        "GET",
        OPERATION,
        peer.says({"status": "Provisioning", "percentComplete": 0.2}),
        peer.says({"status": "Provisioning", "percentComplete": 0.9}),
        peer.says({"status": "Succeeded", "percentComplete": 1.0}),
    )
    peer.on("GET", ID, peer.says(definition()))
    body = {"properties": {"packageType": "Graph", "assets": {"asset3": {"name": MODEL, "x": None}}}}

    await definitions.patch(ID, body)

    assert len(peer.seen_of("GET", OPERATION)) == 3
    (patched,) = peer.seen_of("PATCH", ID)
    assert patched.json == body
    assert patched.query == {"api-version": "2017-01-01"}
    assert all(seen.headers["authorization"] == "Bearer arm-t0ken" for seen in peer.seen)


@pytest.mark.parametrize("member", ["error", "errorInfo"])
@pytest.mark.parametrize("state", ["Failed", "Canceled"])
async def test_a_failed_operation_says_why(peer, definitions, member, state):
    """new-protocol 3: no recording shows the failure's shape, so both are read."""
    peer.on("PATCH", ID, accepts(peer))
    reason = {
        "code": "ModelNotReadable",
        "message": "cannot read https://a/m?sig=s1gn",
        "details": [{"code": "BlobNotFound"}],
    }
    peer.on("GET", OPERATION, peer.says({"status": state, member: reason}, x_ms_request_id="r-9"))

    with pytest.raises(
        ServiceError, match="ModelNotReadable/BlobNotFound: the operation failed: cannot read"
    ) as raised:
        await definitions.patch(ID, {})

    assert raised.value.code == "ModelNotReadable"
    assert raised.value.request_id == "r-9"
    assert "s1gn" not in str(raised.value)


async def test_a_failed_operation_that_says_nothing_is_still_a_failure(peer, definitions):
    peer.on("PATCH", ID, accepts(peer))
    peer.on("GET", OPERATION, peer.says({"status": "Failed"}))

    with pytest.raises(ServiceError, match="the operation failed"):
        await definitions.patch(ID, {})


async def test_a_service_that_is_being_worked_on_is_a_conflict(peer, definitions):
    peer.on("PATCH", ID, peer.refuses(409, "Conflict", "Provisioning is under way."))

    with pytest.raises(Conflict, match="patch definition of BreastCancer: 409 Conflict: Provisioning is under way"):
        await definitions.patch(ID, {})


async def test_a_refused_patch_gives_the_detail_code(peer, definitions):
    peer.on("PATCH", ID, peer.refuses(400, "BadRequest", "The request is invalid.", "CannotChangeStorageAccount"))

    with pytest.raises(ServiceError) as raised:
        await definitions.patch(ID, {})

    assert raised.value.detail_codes == ("CannotChangeStorageAccount",)


async def test_a_patch_whose_answer_is_lost_is_not_repeated(peer, definitions):
    peer.on("PATCH", ID, peer.cuts)

    with pytest.raises(LostReply):
        await definitions.patch(ID, {})

    assert len(peer.seen) == 1


async def test_an_operation_that_does_not_end_is_given_up(peer, definitions):
    peer.on("PATCH", ID, accepts(peer))
    peer.on("GET", OPERATION, peer.hangs)

    with pytest.raises(ServiceUnavailable, match="has not ended after"):
        await definitions.patch(ID, {}, patience=timedelta(seconds=0.1))


async def test_a_token_does_not_follow_a_link_to_another_host(peer, definitions):
    peer.on("PATCH", ID, peer.says({}, Azure_AsyncOperation="https://elsewhere.example/operation"))

    with pytest.raises(InvalidReply, match=r"links to elsewhere\.example"):
        await definitions.patch(ID, {})


@pytest.fixture
async def secure(secure_peer, cloud, credential, ca_file):
    """Definitions of a Resource Manager that speaks TLS, with an authority that no system knows."""
    cloud = replace(cloud, resource_manager_url=secure_peer.url, ca_file=ca_file)
    async with Definitions(cloud, credential, retries=Retries(backoff=0)) as made:
        yield made


async def test_with_its_authority_a_server_is_trusted_and_keeps_its_connection(secure_peer, secure):
    secure_peer.on("GET", ID, secure_peer.says({}))

    for _ in range(3):
        await secure.get(ID)

    assert len(secure_peer.connections) == 1


async def test_without_its_authority_a_server_is_not_trusted(secure_peer, cloud, credential):
    cloud = replace(cloud, resource_manager_url=secure_peer.url)
    async with Definitions(cloud, credential, retries=Retries(backoff=0)) as definitions:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await definitions.get(ID)

    assert secure_peer.seen == []


async def test_from_tls_no_token_follows_a_link_without_it(secure_peer, secure):
    plain = secure_peer.url.replace("https://", "http://")
    secure_peer.on("PATCH", ID, secure_peer.says({}, Azure_AsyncOperation=f"{plain}{OPERATION}"))

    with pytest.raises(SignInError, match="without TLS"):
        await secure.patch(ID, {})

    assert len(secure_peer.seen) == 1


async def test_http_is_refused_but_on_loopback(cloud, credential):
    """A cloud file cannot say so; this is the second lock."""
    async with Definitions(replace(cloud, resource_manager_url="http://arm.example"), credential) as definitions:
        with pytest.raises(SignInError, match="without TLS"):
            await definitions.get(ID)

    assert credential.scopes == []


async def test_a_sign_in_that_fails_is_said_as_it_is(peer, definitions, credential):
    credential.error = SignInError("no", operation="sign in to local")

    with pytest.raises(SignInError, match="sign in to local: no"):
        await definitions.get(ID)

    assert peer.seen == []


async def test_a_manager_that_is_not_there_is_unreachable(cloud, credential, closed_url):
    async with Definitions(
        replace(cloud, resource_manager_url=closed_url), credential, retries=Retries(backoff=0)
    ) as gone:
        with pytest.raises(Unreachable):
            await gone.get(ID)


async def test_the_primary_key_is_read_by_a_get(peer, definitions):
    peer.on("GET", f"{ID}/listKeys", peer.says({"primary": "pr1mary", "secondary": "s"}))

    key = await definitions.list_keys(ID)

    assert key.get_secret_value() == "pr1mary"


async def test_keys_without_a_primary_one_are_an_invalid_reply(peer, definitions):
    peer.on("GET", f"{ID}/listKeys", peer.says({"secondary": "s3condary"}))

    with pytest.raises(InvalidReply) as raised:
        await definitions.list_keys(ID)

    assert "s3condary" not in str(raised.value)


async def test_listing_follows_all_pages(peer, definitions):
    link = f"{peer.url}{SERVICES}?api-version=2017-01-01&$skiptoken=2"
    peer.on(
        "GET", SERVICES, peer.says({"value": [{"name": "a"}], "nextLink": link}), peer.says({"value": [{"name": "b"}]})
    )

    assert await definitions.list_group(SUBSCRIPTION, "rg") == [{"name": "a"}, {"name": "b"}]
    assert peer.seen[1].query["$skiptoken"] == "2"


async def test_listing_a_subscription_ends_even_if_its_pages_go_in_a_ring(peer, definitions):
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning/webServices"
    peer.on("GET", path, peer.says({"value": [{"name": "a"}], "nextLink": f"{peer.url}{path}"}))

    assert len(await definitions.list_subscription(SUBSCRIPTION)) == 2


async def test_outside_of_its_async_with_the_client_says_so(cloud, credential):
    with pytest.raises(RuntimeError, match="async with"):
        await Definitions(cloud, credential).get(ID)


def test_the_trained_model_is_found_by_name_and_type():
    found = find_trained_model(definition(), MODEL)

    assert (found.key, found.uri) == ("asset3", "https://a/c/old.ilearner")
    assert found.pointer == "/properties/assets/asset3/locationInfo/uri"


def test_members_of_any_letter_case_are_found_and_kept():
    content = {"Properties": {"Assets": {"a/~1": {"Name": MODEL, "Type": "resource", "LocationInfo": {"Uri": "u"}}}}}

    found = find_trained_model(content, MODEL)

    assert found.pointer == "/Properties/Assets/a~1~01/LocationInfo/Uri"
    assert jsonpatch.JsonPointer(found.pointer).resolve(content) == "u"


def test_the_exact_name_wins_over_one_that_differs_in_letter_case():
    content = definition(
        a={"name": "model", "type": "Resource", "locationInfo": {"uri": "u1"}},
        b={"name": "Model", "type": "Resource", "locationInfo": {"uri": "u2"}},
    )

    assert find_trained_model(content, "Model").uri == "u2"


def test_a_name_that_differs_in_letter_case_will_do_if_it_is_the_only_one():
    assert find_trained_model(definition(), MODEL.upper()).name == MODEL


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            definition(a={"name": "Modell A", "type": "Resource"}),
            r"no trained model 'Model A', did you mean 'Modell A'\? it has 'Modell A'",
        ),
        (definition(a={"name": "Model A", "type": "Module"}), "no trained model 'Model A', nor any other resource"),
        (
            definition(a={"name": "Model A", "type": "Resource"}, b={"name": "Model A", "type": "Resource"}),
            r"2 resources named 'Model A' \(a, b\)",
        ),
        (
            definition(a={"name": "MODEL A", "type": "Resource"}, b={"name": "model a", "type": "Resource"}),
            r"2 resources named 'Model A' \(a, b\)",
        ),
        (
            definition(a={"name": "Model A", "type": "Resource", "locationInfo": {}}),
            "'Model A' has no locationInfo.uri",
        ),
        ({"properties": {"payloadsInBlobStorage": True}}, "keeps its assets in a blob"),
        ({"properties": {}}, "shows no assets"),
        ({}, "shows no assets"),
    ],
)
def test_no_trained_model_or_more_than_one_is_an_error_that_says_what_is_there(content, words):
    with pytest.raises(DefinitionError, match=words):
        find_trained_model(content, "Model A")


@pytest.mark.parametrize(
    ("location", "base"),
    [
        ("https://h/subscriptions/s/services/g/swagger.json", "https://h/subscriptions/s/services/g"),
        ("https://h/subscriptions/s/services/g/swagger.json?api-version=2.0", "https://h/subscriptions/s/services/g"),
        (None, None),
    ],
)
def test_the_execution_api_is_where_the_swagger_document_is(location, base):
    """new-protocol 4"""
    assert api_location({"properties": {"swaggerLocation": location}}) == base


def test_the_execution_api_of_a_definition_that_shows_none_is_unknown():
    assert api_location({}) is None
