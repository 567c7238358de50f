"""Jobs: registered once, started whatever happens, read in every form that was seen."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from reconciler.azure.errors import InvalidReply, LostReply, NotFound, ServiceError, ServiceUnavailable, SignInError
from reconciler.azure.execution.batch import (
    BatchExecution,
    BatchRequest,
    BlobReference,
    JobState,
    JobStatus,
    StoredBlob,
)

JOB = "0123456789abcdef0123456789abcdef"
JOBS = "/workspaces/w/services/e/jobs"
START = f"{JOBS}/{JOB}/start"
STATUS = f"{JOBS}/{JOB}"
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9v"


@pytest.fixture
def batch(peer, http):
    return BatchExecution(http, f"{peer.url}/workspaces/w/services/e/", SecretStr("endpoint-key"))


async def test_a_job_is_registered_with_inputs_outputs_and_parameters(peer, batch):
    peer.on("POST", JOBS, peer.says(JOB))

    job_id = await batch.register(
        BatchRequest(
            inputs={
                "input1": StoredBlob(SecretStr(CONNECTION), "/models/in.csv"),
                "input2": BlobReference.of("https://b", "/c/d.csv", "sig=x"),
            },
            outputs={"output1": StoredBlob(SecretStr(CONNECTION), "models/out.ilearner")},
            parameters={"Data URL": "https://x", "Seed": 7},
        )
    )

    assert job_id == JOB
    (seen,) = peer.seen
    assert seen.query == {"api-version": "2.0"}
    assert seen.headers["authorization"] == "Bearer endpoint-key"
    assert seen.json == {
        "Inputs": {
            "input1": {"ConnectionString": CONNECTION, "RelativeLocation": "models/in.csv"},
            "input2": {"BaseLocation": "https://b/", "RelativeLocation": "c/d.csv", "SasBlobToken": "?sig=x"},
        },
        "Outputs": {"output1": {"ConnectionString": CONNECTION, "RelativeLocation": "models/out.ilearner"}},
        "GlobalParameters": {"Data URL": "https://x", "Seed": 7},
    }


async def test_a_signed_url_in_a_parameter_is_sent_and_not_shown_and_the_pool_is_named(peer, batch):
    """context 4.5; classic-protocol 3 (AzureBatchPoolId)"""
    peer.on("POST", JOBS, peer.says(JOB))
    request = BatchRequest(parameters={"URI": SecretStr("https://a/c/d.csv?sig=s3cret"), "Rounds": 3}, pool="pool-1")

    await batch.register(request)

    assert peer.seen[0].json == {
        "GlobalParameters": {"URI": "https://a/c/d.csv?sig=s3cret", "Rounds": 3},
        "AzureBatchPoolId": "pool-1",
    }
    assert "s3cret" not in repr(request)


async def test_what_is_empty_is_left_out_of_a_registration(peer, batch):
    peer.on("POST", JOBS, peer.says(JOB))

    await batch.register(BatchRequest())

    assert peer.seen[0].json == {"GlobalParameters": {}}


@pytest.mark.parametrize("failure", ["cut", "503", "429"])
async def test_a_registration_is_sent_once_come_what_may(peer, batch, failure):
    answers = {"cut": peer.cuts, "503": peer.refuses(503, "X", Retry_After="0"), "429": peer.refuses(429, "X")}
    peer.on("POST", JOBS, answers[failure])

    with pytest.raises(ServiceError):
        await batch.register(BatchRequest())

    assert len(peer.seen) == 1


@pytest.mark.parametrize("answer", ["", '""', "{}", "7", "<html>"])
async def test_a_registration_without_a_job_id_is_an_invalid_reply(peer, batch, answer):
    peer.on("POST", JOBS, peer.says_text(answer))

    with pytest.raises(InvalidReply):
        await batch.register(BatchRequest())


async def test_a_refused_connection_string_is_not_in_the_error(peer, batch):
    peer.on("POST", JOBS, peer.refuses(400, "BadArgument", f"bad: {CONNECTION}", "InvalidBlobConnectionString"))

    with pytest.raises(ServiceError, match="BadArgument/InvalidBlobConnectionString") as raised:
        await batch.register(BatchRequest())

    assert "Zm9v" not in str(raised.value)


@pytest.mark.parametrize("success", [200, 204])
async def test_starting_gives_the_status(peer, batch, success):
    """classic-protocol 8, item 5"""
    peer.on("POST", START, peer.nothing(success))
    peer.on("GET", STATUS, peer.says({"StatusCode": "Running"}))

    assert await batch.start(JOB) == JobStatus(JobState.RUNNING)
    assert len(peer.seen_of("POST", START)) == 1
    assert peer.seen[0].body == b""


@pytest.mark.parametrize("details", [("CannotStartJob",), ()])
async def test_a_job_that_is_started_already_is_fine(peer, batch, details):
    peer.on("POST", START, peer.refuses(400, "InvalidOperation", "it is in Running state", *details))
    peer.on("GET", STATUS, peer.says({"StatusCode": "Finished"}))

    assert (await batch.start(JOB)).state is JobState.FINISHED


@pytest.mark.parametrize("failure", ["cut", "500", "503"])
async def test_a_start_that_was_done_though_its_answer_was_lost_is_not_sent_again(peer, batch, failure):
    peer.on("POST", START, peer.cuts if failure == "cut" else peer.refuses(int(failure), "InternalError"))
    peer.on("GET", STATUS, peer.says({"StatusCode": "Running"}))

    assert (await batch.start(JOB)).state is JobState.RUNNING
    assert len(peer.seen_of("POST", START)) == 1


async def test_a_start_that_was_not_done_is_sent_once_more(peer, batch):
    peer.on("POST", START, peer.cuts, peer.nothing())
    peer.on("GET", STATUS, peer.says({"StatusCode": "NotStarted"}), peer.says({"StatusCode": "Running"}))

    assert (await batch.start(JOB)).state is JobState.RUNNING
    assert len(peer.seen_of("POST", START)) == 2


async def test_a_start_whose_fate_stays_unknown_says_so(peer, batch):
    peer.on("POST", START, peer.cuts)
    peer.on("GET", STATUS, peer.says({"StatusCode": "NotStarted"}))

    with pytest.raises(LostReply):
        await batch.start(JOB)

    assert len(peer.seen_of("POST", START)) == 2


async def test_a_start_that_is_refused_for_another_reason_is_refused(peer, batch):
    peer.on("POST", START, peer.refuses(401, "Unauthorized"))

    with pytest.raises(SignInError):
        await batch.start(JOB)

    assert peer.seen_of("GET", STATUS) == []


@pytest.mark.parametrize(
    ("status", "code", "detail"),
    [
        (404, "NotFound", ""),
        (400, "BadArgument", "MissingJobId"),
        (400, "BadArgument", ""),
        (500, "InternalError", "UnknownJobStatusCode"),
    ],
)
async def test_an_unknown_job_is_not_found_however_the_service_says_it(peer, batch, status, code, detail):
    """classic-protocol 3 does not know which of these it is."""
    answer = peer.refuses(status, code, "no such job", *([detail] if detail else []))
    for method, path in (("POST", START), ("GET", STATUS), ("DELETE", STATUS)):
        peer.on(method, path, answer)

    with pytest.raises(NotFound):
        await batch.start(JOB)
    with pytest.raises(NotFound, match="get batch job 0123"):
        await batch.status(JOB)
    await batch.cancel(JOB)


@pytest.mark.parametrize("status", [200, 204])
async def test_a_job_without_a_body_is_not_found(peer, batch, status):
    peer.on("GET", STATUS, peer.nothing(status))

    with pytest.raises(NotFound):
        await batch.status(JOB)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("NotStarted", JobState.NOT_STARTED),
        (0, JobState.NOT_STARTED),
        ("running", JobState.RUNNING),
        ("1", JobState.RUNNING),
        ("Failed", JobState.FAILED),
        (2, JobState.FAILED),
        ("Cancelled", JobState.CANCELLED),
        ("Canceled", JobState.CANCELLED),
        (3, JobState.CANCELLED),
        ("FINISHED", JobState.FINISHED),
        (4, JobState.FINISHED),
    ],
)
async def test_the_state_is_a_name_or_a_number(peer, batch, code, state):
    """classic-protocol 3"""
    peer.on("GET", STATUS, peer.says({"StatusCode": code, "Results": None, "Details": None}))

    assert await batch.status(JOB) == JobStatus(state)


async def test_an_unknown_state_is_an_invalid_reply(peer, batch):
    peer.on("GET", STATUS, peer.says({"StatusCode": "Paused"}))

    with pytest.raises(InvalidReply, match="unknown StatusCode 'Paused'"):
        await batch.status(JOB)


def test_three_states_are_final():
    assert [state for state in JobState if state.ended] == [JobState.FAILED, JobState.CANCELLED, JobState.FINISHED]


@pytest.mark.parametrize(
    ("sas", "read"), [("?sv=1&sig=x", "?sv=1&sig=x"), ("sv=1&sig=x", "?sv=1&sig=x"), (None, ""), ("", "")]
)
@pytest.mark.parametrize("base", ["https://acct.blob.core.windows.net", "https://acct.blob.core.windows.net/"])
async def test_results_are_read_whatever_their_slashes_and_marks(peer, batch, base, sas, read):
    result = {
        "ConnectionString": None,
        "RelativeLocation": "/c/out.ilearner",
        "BaseLocation": base,
        "SasBlobToken": sas,
    }
    peer.on("GET", STATUS, peer.says({"StatusCode": "Finished", "Results": {"output1": result, "odd": None}}))

    status = await batch.status(JOB)

    expected = BlobReference("https://acct.blob.core.windows.net/", "c/out.ilearner", SecretStr(read))
    assert status.results == {"output1": expected}
    assert "sig" not in repr(status)


async def test_the_reason_of_a_failure_is_kept_without_signatures(peer, batch):
    peer.on("GET", STATUS, peer.says({"StatusCode": "Failed", "Details": "cannot read https://a/b?sv=1&sig=s1gn here"}))

    status = await batch.status(JOB)

    assert status.details == "cannot read https://a/b?*** here"


async def test_cancelling_is_a_delete(peer, batch):
    peer.on("DELETE", STATUS, peer.nothing())

    await batch.cancel(JOB)

    assert peer.seen[0].query == {"api-version": "2.0"}


async def test_a_cancel_that_fails_says_so(peer, batch):
    peer.on("DELETE", STATUS, peer.refuses(503, "ServiceUnavailable"))

    with pytest.raises(ServiceUnavailable):
        await batch.cancel(JOB)
