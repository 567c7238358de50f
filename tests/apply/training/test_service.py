"""The service that trains: found by either kind's own way, asked once a pass, checked by its own document."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.apply.training.recipes import desired_versions
from reconciler.apply.training.service import TrainingJobs, find_training_service, service_key
from reconciler.azure.errors import SignInError
from reconciler.azure.execution.batch import BatchRequest
from reconciler.plan.states import VersionKey
from tests.apply.training.conftest import WORKSPACE, Open
from tests.support.peer import Peer

SERVICES = f"/workspaces/{WORKSPACE}/webservices"
ENDPOINT = f"{SERVICES}/s1/endpoints/default"
EXECUTION = f"/workspaces/{WORKSPACE}/services/e1"
SWAGGER, JOBS = f"{EXECUTION}/swagger.json", f"{EXECUTION}/jobs"
REQUEST = {
    "type": "object",
    "properties": {
        "Outputs": {"properties": {"out": {"description": "an .ilearner blob"}}},
        "GlobalParameters": {"properties": {"Rounds": {}}},
    },
}
PLAIN = "{classic: {webService: Training}, parameters: {Rounds: 3}, outputs: {model: out}}"


def serve(peer: Peer, key: str = "k1") -> None:
    peer.on("GET", SERVICES, peer.says([{"Id": "s1", "Name": "Training"}]))
    endpoint = {"Name": "default", "ApiLocation": peer.url + EXECUTION, "PrimaryKey": key}
    peer.on("GET", ENDPOINT, peer.says(endpoint))
    peer.on("GET", SWAGGER, peer.says({"definitions": {"BatchExecutionRequest": REQUEST}}))


async def versions_of(run: Any, *models: str) -> dict[str, Any]:
    wanted = frozenset(VersionKey(model, "1") for model in models)
    return {found.key.model: found for found in await desired_versions(wanted, run.clients, {})}


async def test_a_service_is_asked_once_a_pass_whatever_number_of_models_it_trains(peer: Peer, opened: Open) -> None:
    serve(peer)
    async with opened(**{f"m{number}": PLAIN for number in range(40)}) as run:
        found = await versions_of(run, *run.clients.fleet.models)

    assert {None} == {version.problem for version in found.values()}
    assert 3 == len(peer.seen), "its list, its endpoint, its document"


async def test_names_are_not_checked_where_the_document_can_not_be_read_and_that_is_said(
    peer: Peer, opened: Open
) -> None:
    serve(peer)
    peer.on("GET", SWAGGER, peer.says_text("gone", 404))
    async with opened(m=PLAIN.replace("Rounds", "Anything")) as run:
        unreadable = (await versions_of(run, "m"))["m"]
    peer.on("GET", SWAGGER, peer.says({"swagger": "2.0"}))
    async with opened(m=PLAIN) as run:
        useless = (await versions_of(run, "m"))["m"]

    assert unreadable.problem is None
    assert unreadable.training == (
        "Training, endpoint default; names are not checked, because the API document of the service cannot be read: "
        "status 404"
    )
    assert useless.training.endswith("; names are not checked: the swagger document describes no batch jobs")


async def test_a_service_that_does_not_show_where_it_is_is_a_problem_of_its_models_alone(
    peer: Peer, opened: Open
) -> None:
    serve(peer)
    peer.on("GET", ENDPOINT, peer.says({"Name": "default"}))
    async with opened(m=PLAIN) as run:
        found = (await versions_of(run, "m"))["m"]

    assert found.problem.code == "training-endpoint-unknown"


async def test_the_service_is_part_of_the_fingerprint_and_the_pool_is_not(peer: Peer, opened: Open) -> None:
    serve(peer)
    group = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g"
    resource = f"{group}/providers/Microsoft.MachineLearning/webServices"
    async with opened(
        plain=PLAIN,
        pooled=PLAIN.replace("parameters", "pool: p, parameters"),
        elsewhere=PLAIN.replace("webService: Training", "webService: Training, endpoint: second"),
        new=PLAIN.replace("classic: {webService: Training}", f"new: {{resourceId: {resource}/T}}"),
        new_too=PLAIN.replace("classic: {webService: Training}", f"new: {{resourceId: {resource}/t}}"),
        other=PLAIN.replace("Rounds: 3", "Rounds: 4"),
    ) as run:
        found = await versions_of(run, *run.clients.fleet.models)
        keys = {name: service_key(model) for name, model in run.clients.fleet.models.items()}

    fingerprints = {name: version.fingerprint for name, version in found.items()}
    assert fingerprints["plain"] == fingerprints["pooled"]
    assert fingerprints["new"] == fingerprints["new_too"]
    assert 4 == len(set(fingerprints.values()))
    assert found["pooled"].training == "Training, endpoint default, on pool p"
    assert keys["plain"] == keys["pooled"] == keys["other"] != keys["elsewhere"]
    assert keys["new"] == keys["new_too"]


async def test_a_key_that_was_changed_is_looked_up_again_once(peer: Peer, opened: Open) -> None:
    serve(peer)
    async with opened(m=PLAIN) as run:
        model = run.clients.fleet.models["m"]
        training = model.spec.training
        service = await find_training_service(run.clients, model, training)
        jobs = TrainingJobs(run.clients, model, training, service)
        serve(peer, key="k2")
        peer.on("POST", JOBS, peer.refuses(401, "Unauthorized"), peer.says("0" * 32), peer.refuses(401, "Unauthorized"))

        assert "0" * 32 == await jobs.register(BatchRequest())
        with pytest.raises(SignInError):
            await jobs.register(BatchRequest())

    sent = [seen.headers["authorization"] for seen in peer.seen_of("POST", JOBS)]
    assert ["Bearer k1", "Bearer k2", "Bearer k2"] == sent
