"""The network loses a request or its reply: the run finds out what was done, and comes home all the same."""

from __future__ import annotations

from typing import Any

import pytest

STATUS = ("GET", r"/jobs/\w+$")
REQUESTS = {
    "listing services": ("GET", "/webservices$"),
    "listing endpoints": ("GET", "/endpoints$"),
    "registering a job": ("POST", "/jobs$"),
    "starting a job": ("POST", r"/jobs/\w+/start$"),
    "asking for a job": STATUS,
    "creating an endpoint": ("PUT", "/endpoints/e"),
    "patching an endpoint": ("PATCH", "/endpoints/e"),
    "reading a definition": ("GET", "/webServices/BreastCancer$"),
    "patching a definition": ("PATCH", "/webServices/BreastCancer$"),
    "polling an operation": ("GET", "/operationsStatus/"),
    "listing keys": ("GET", "/listKeys$"),
    "scoring": ("POST", "/execute$"),
}


@pytest.mark.parametrize("done", [False, True], ids=["lost on the way there", "lost on the way back"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_lost_connection_does_not_stop_the_run(rig: Any, request_: str, done: bool) -> None:
    """Twice in a row, because the HTTP library itself repeats some requests once."""
    method, path = REQUESTS[request_]
    new = "definition" in request_ or request_ in {"polling an operation", "listing keys"}
    rig.write(*(() if new else "a"), new=new)
    rule = rig.proxy.drop(method, path, done=done, times=2)

    rig.run("--yes")

    assert rule.left < 2
    rig.assert_home()


def test_our_note_is_put_on_an_endpoint_whose_reply_is_lost(rig: Any) -> None:
    rig.write("a")
    rig.run("--yes")
    rig.studio.change(rig.endpoint_name("a"), Description="by hand")
    rule = rig.proxy.drop("PATCH", "/endpoints/e", done=True, times=1)

    assert "adopted" in rig.run("--yes").stdout

    assert not rule.left
    rig.assert_home()


def test_a_busy_service_is_asked_again(rig: Any) -> None:
    """A burst of 503, and a 429 that says when to come back."""
    rig.write("a", new=True)
    busy = {"error": {"code": "ServiceUnavailable", "message": "Busy.", "details": []}}
    rules = [
        rig.proxy.answer("GET", "/webservices$", 503, busy, times=2),
        rig.proxy.answer("GET", "/endpoints$", 429, busy, Retry_After="1"),
        rig.proxy.answer("GET", "/webServices/BreastCancer$", 503, busy, times=2),
        rig.proxy.answer("GET", "/operationsStatus/", 429, busy, Retry_After="1"),
    ]

    rig.run("--yes")

    assert {0} == {rule.left for rule in rules}
    rig.assert_home()


def test_a_job_that_cannot_be_seen_for_a_while_is_still_waited_for(rig: Any) -> None:
    """More failures in a row than one call repeats: the job runs on, so giving it up would train twice."""
    rig.write("a")
    rule = rig.proxy.answer(*STATUS, 503, times=9)
    rule.skip = 2

    done = rig.run("--yes")

    assert 0 == rule.left
    assert "the job's state cannot be read, checking again" in done.stderr
    rig.assert_home()


def test_a_new_web_service_that_is_busy_is_waited_for(rig: Any) -> None:
    """As after a run that was killed: the service refuses every write until its earlier operation has ended."""
    rig.write(new=True)
    refusal = {"error": {"code": "Conflict", "message": "The web service is being provisioned. Try again later."}}
    rule = rig.proxy.answer("PATCH", "/webServices/BreastCancer$", 409, refusal, times=6)

    rig.run("--yes")

    assert 0 == rule.left
    rig.assert_home()


def test_a_training_that_takes_too_long_is_cancelled_and_the_next_attempt_goes_elsewhere(rig: Any) -> None:
    """The start is swallowed, so the job runs for ever as far as we are told, and stands still in truth."""
    rig.write("a", timeout="1s")
    rules = [
        rig.proxy.answer("POST", r"/jobs/\w+/start$", 204),
        rig.proxy.change(*STATUS, lambda _: {"StatusCode": "Running"}),
    ]

    first = rig.run("--yes", code=1)

    (job,) = rig.jobs()
    assert "Cancelled" == job["state"]
    assert f"job {job['id']} did not end within 1s and was cancelled" in first.stdout
    assert "Raise training.timeout" in first.stdout
    with rig.open_store() as store:
        (version,), (operation,) = store.versions(), store.operations()
        assert ("failed", "cancelled") == (version.state, operation.outcome)
        assert "Raise training.timeout" in version.message
        assert () == store.leases()
    for rule in rules:
        rule.end()
    rig.write("a", timeout="5m")

    rig.run("--yes")

    first_job, second_job = rig.jobs()
    assert job["id"] == first_job["id"]
    assert first_job["outputs"]["output1"] != second_job["outputs"]["output1"]
    with rig.open_store() as store:
        assert [1, 2] == [operation.attempt for operation in store.operations()]
    rig.assert_home()


def test_a_service_that_answers_nothing_but_503_is_said_and_not_waited_for_ever(rig: Any) -> None:
    rig.write("a")
    rig.proxy.answer("GET", "/webservices$", 503, times=None)

    done = rig.run("--yes", code=1)

    assert "503" in done.stdout + done.stderr
    assert 4 == len(rig.proxy.seen("GET", "/webservices$"))
    assert [] == rig.jobs()
