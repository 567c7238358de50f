"""What is trained on is what was planned on: data are identified, uploaded once, and looked at again before a job."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.apply.training.errors import TrainingFailed
from reconciler.apply.training.inputs import identify_data, job_parameters, upload_files
from reconciler.apply.training.job_request import job_request
from reconciler.apply.training.local_files import RecipeError
from reconciler.apply.training.recipes import recipe_fingerprint
from reconciler.azure.execution.batch import BatchRequest
from reconciler.plan.states import VersionKey
from tests.apply.training.conftest import Open
from tests.support.peer import Peer

CSV = b"a,b\n1,2\n"
DIGEST = hashlib.sha256(CSV).hexdigest()
UPLOADED = f"/store/models/inputs/{DIGEST}.csv"


def training(data: str) -> str:
    return f"{{classic: {{webService: T}}, {data}, outputs: {{model: out}}}}"


def account(peer: Peer) -> None:
    """A storage account without any blob."""
    peer.on("PUT", "/store/models", peer.nothing(201))
    for blob in (UPLOADED, "/store/models/given.csv"):
        peer.on("HEAD", blob, peer.says_text("", 404))
    peer.on("PUT", UPLOADED, peer.nothing(201))


async def planned(run: Any, name: str = "m") -> str:
    """The fingerprint as a plan has it."""
    key, model = VersionKey(name, "1"), run.clients.fleet.models[name]
    data = await identify_data(key, model, run.clients)
    return recipe_fingerprint(key, model, model.spec.training, run.clients, data)


async def request_for(run: Any, fingerprint: str, name: str = "m") -> BatchRequest:
    model = run.clients.fleet.models[name]
    return await job_request(
        run,
        VersionKey(name, "1"),
        model,
        model.spec.training,
        fingerprint=fingerprint,
        artifact="models/m/1/x.ilearner",
    )


async def test_files_blobs_and_urls_get_to_the_job_as_input_and_as_the_url_in_a_parameter(
    peer: Peer, opened: Open, tmp_path: Path
) -> None:
    account(peer)
    (tmp_path / "d.csv").write_bytes(CSV)
    peer.on("HEAD", "/store/sets/1.csv", peer.says_text("abc", ETag='"7"'))
    peer.on("HEAD", "/public/1.csv", peer.says_text("abc", ETag='"8"'))
    url = f"{peer.url}/public/{{version}}.csv"
    sources = f'f: {{file: d.csv}}, b: {{blob: "sets/{{version}}.csv"}}, u: {{url: "{url}"}}'
    async with opened(
        m=training(f"inputs: {{{sources}}}, parameters: {{{sources}, n: 3, t: 'of {{version}}'}}")
    ) as run:
        request = await request_for(run, await planned(run))

    body = request.body()
    assert body["Inputs"]["f"]["RelativeLocation"] == f"models/inputs/{DIGEST}.csv"
    assert body["Inputs"]["b"]["RelativeLocation"] == "sets/1.csv"
    assert body["Inputs"]["u"] == {
        "BaseLocation": f"{peer.url}/",
        "RelativeLocation": "public/1.csv",
        "SasBlobToken": "",
    }
    given = body["GlobalParameters"]
    assert (given["n"], given["t"], given["u"]) == (3, "of 1", f"{peer.url}/public/1.csv")
    for name, place in (("f", UPLOADED), ("b", "/store/sets/1.csv")):
        assert given[name].startswith(f"{peer.url}{place}?")
        assert "sp=r&" in given[name]
        assert isinstance(request.parameters[name], SecretStr)
    assert body["Outputs"]["out"]["RelativeLocation"] == "models/m/1/x.ilearner"
    assert 1 == len(peer.seen_of("PUT", UPLOADED)), "the same content twice is one blob"


async def test_a_signature_in_a_parameter_outlives_the_job(peer: Peer, opened: Open) -> None:
    peer.on("HEAD", "/store/sets/1.csv", peer.says_text("abc", ETag='"7"'))
    async with opened(m=training("parameters: {URI: {blob: sets/1.csv}}, timeout: 5d")) as run:
        request = await request_for(run, await planned(run))
        model = run.clients.fleet.models["m"]
        data = await identify_data(VersionKey("m", "1"), model, run.clients)
        again = await job_parameters(data, run.clients, "contoso", timedelta(hours=1))

    assert isinstance(request.parameters["URI"], SecretStr)
    assert isinstance(again["URI"], SecretStr)
    ends = [
        each.get_secret_value().partition("se=")[2].partition("&")[0]
        for each in (request.parameters["URI"], again["URI"])
    ]
    assert ends[0] > ends[1]


@pytest.mark.parametrize("as_parameter", [False, True])
async def test_data_that_change_between_plan_and_start_are_refused(
    peer: Peer, opened: Open, tmp_path: Path, *, as_parameter: bool
) -> None:
    account(peer)
    (tmp_path / "d.csv").write_bytes(CSV)
    peer.on("HEAD", "/public.csv", peer.says_text("", ETag='"1"'), peer.says_text("", ETag='"2"'))
    peer.on("HEAD", "/store/sets/1.csv", peer.says_text("a", ETag='"1"'), peer.says_text("a", ETag='"2"'))
    where = "parameters" if as_parameter else "inputs"
    sources = {"url": f"{{url: '{peer.url}/public.csv'}}", "blob": "{blob: sets/1.csv}", "file": "{file: d.csv}"}
    async with opened(**{name: training(f"{where}: {{x: {source}}}") for name, source in sources.items()}) as run:
        before = {name: await planned(run, name) for name in sources}
        (tmp_path / "d.csv").write_bytes(CSV + b"3,4\n")
        for name, fingerprint in before.items():
            with pytest.raises(
                TrainingFailed, match=f"the training data of {name}@1 changed after the plan was made; plan again"
            ):
                await request_for(run, fingerprint, name)

    assert [] == [seen for seen in peer.seen if seen.method == "PUT"]


async def test_what_changes_while_a_file_is_uploaded_is_noticed(peer: Peer, opened: Open, tmp_path: Path) -> None:
    account(peer)
    (tmp_path / "d.csv").write_bytes(CSV)
    same, other = peer.says_text("", ETag='"1"'), peer.says_text("", ETag='"2"')
    peer.on("HEAD", "/public.csv", same, same, other)
    async with opened(m=training(f"inputs: {{f: {{file: d.csv}}, u: {{url: '{peer.url}/public.csv'}}}}")) as run:
        fingerprint = await planned(run)
        with pytest.raises(TrainingFailed, match="changed after the plan was made"):
            await request_for(run, fingerprint)

    assert 1 == len(peer.seen_of("PUT", UPLOADED))


async def test_a_url_that_can_not_be_pinned_is_refused_with_a_remedy(
    peer: Peer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.azure.url_versions.url_pin.__kwdefaults__", {"largest": 4})
    peer.on_everything(peer.says_text("a,b\n1,2\n"))
    async with opened(m=training(f"inputs: {{x: {{url: '{peer.url}/public.csv?year=2026'}}}}")) as run:
        with pytest.raises(RecipeError, match=r"public\.csv: its present content cannot be pinned") as raised:
            await planned(run)

    assert "blob: container/path" in raised.value.problem.remedy
    assert "year" not in str(raised.value)


async def test_models_that_train_on_the_same_file_at_the_same_time_send_it_once(
    peer: Peer, opened: Open, tmp_path: Path, notes: list[Any]
) -> None:
    account(peer)
    (tmp_path / "d.csv").write_bytes(CSV)
    names = [f"m{number}" for number in range(20)]
    async with opened(**{name: training("inputs: {x: {file: d.csv}}") for name in names}) as run:
        models = run.clients.fleet.models
        keys = {name: VersionKey(name, "1") for name in names}
        data = {name: await identify_data(keys[name], models[name], run.clients) for name in names}
        done = await asyncio.gather(*(upload_files(data[name], run, keys[name], models[name]) for name in names))

    assert {True} == set(done)
    assert 1 == len(peer.seen_of("PUT", UPLOADED))
    assert ["uploaded d.csv"] == [note.text for note in notes]


async def test_how_far_a_large_file_is_grows_block_by_block_under_one_text(
    peer: Peer, opened: Open, tmp_path: Path, notes: list[Any]
) -> None:
    content = CSV + b"1,2\n" * (3 << 18)
    blob = f"/store/models/inputs/{hashlib.sha256(content).hexdigest()}.csv"
    peer.on("PUT", "/store/models", peer.nothing(201))
    peer.on("HEAD", blob, peer.says_text("", 404))
    peer.on("PUT", blob, peer.nothing(201))
    (tmp_path / "d.csv").write_bytes(content)
    async with opened(m=training("inputs: {x: {file: d.csv}}")) as run:
        await request_for(run, await planned(run))

    *growing, last = notes
    assert ("uploaded d.csv", None) == (last.text, last.amount)
    assert {"uploading d.csv (3,145,736 bytes)"} == {note.text for note in growing}
    amounts = [note.amount for note in growing]
    assert 3 == len(amounts)
    assert amounts == sorted(amounts, key=lambda amount: amount.done)
    assert {len(content)} == {amount.total for amount in amounts}
