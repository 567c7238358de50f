from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.store import Lease, Operation, OperationConflict, Store

AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
INTENT = Operation(
    model="breast-cancer", label="2026-11", fingerprint="a" * 64, attempt=1, phase="intent", created_at=AT
)
FULL = replace(INTENT, jobs_url="https://h/workspaces/w/services/s/jobs", job_id="j1", output_relative="m/a.ilearner")


def put(store: Store, lease: Lease, operation: Operation) -> Operation:
    with store.fenced(lease) as transaction:
        return transaction.put_operation(operation)


def at_phase(store: Store, lease: Lease, phase: str) -> Operation:
    operation = put(store, lease, FULL)
    if phase == "closed":
        return put(store, lease, replace(operation, phase="closed", outcome="succeeded"))
    return put(store, lease, replace(operation, phase=phase))  # type: ignore[arg-type]


def test_an_operation_gets_an_id_and_moves_forward_to_its_end(store: Store, lease: Lease) -> None:
    intent = put(store, lease, INTENT)
    registered = put(store, lease, replace(intent, phase="registered", job_id="j1", jobs_url="https://h/jobs"))
    started = put(
        store,
        lease,
        replace(
            registered,
            phase="started",
            started_at=AT + timedelta(seconds=1),
            deadline=AT + timedelta(hours=2),
        ),
    )
    assert started == store.open_operation("breast-cancer", "2026-11")

    closed = put(store, lease, replace(started, phase="closed", outcome="failed", message="out of memory"))

    assert intent.id is not None
    assert store.open_operation("breast-cancer", "2026-11") is None
    assert (closed,) == store.operations()
    assert store.operations(open_only=True) == ()


@pytest.mark.parametrize(
    ("phase", "back"), [("registered", "intent"), ("started", "intent"), ("started", "registered")]
)
def test_an_operation_never_goes_back(store: Store, lease: Lease, phase: str, back: str) -> None:
    operation = at_phase(store, lease, phase)

    with pytest.raises(OperationConflict, match=f"is {phase} and cannot go back to {back}"):
        put(store, lease, replace(operation, phase=back))  # type: ignore[arg-type]


def test_a_closed_operation_does_not_change(store: Store, lease: Lease) -> None:
    closed = at_phase(store, lease, "closed")
    put(store, lease, closed)

    with pytest.raises(OperationConflict, match="closed as succeeded"):
        put(store, lease, replace(closed, outcome="failed"))
    with pytest.raises(OperationConflict, match="closed as succeeded"):
        put(store, lease, replace(closed, phase="started", outcome=None))


@pytest.mark.parametrize("phase", ["registered", "started"])
@pytest.mark.parametrize("change", [{"job_id": "j2"}, {"jobs_url": "https://other/jobs"}, {"fingerprint": "b" * 64}])
def test_what_was_registered_keeps_its_job(store: Store, lease: Lease, phase: str, change: dict[str, str]) -> None:
    # Else a job that may be running would be forgotten, and a second one started (design 5.2).
    operation = at_phase(store, lease, phase)

    with pytest.raises(OperationConflict, match=f"its {next(iter(change))} does not change"):
        put(store, lease, replace(operation, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", ["registered", "started"])
def test_from_registered_on_an_operation_needs_its_job(phase: str) -> None:
    with pytest.raises(ValueError, match="needs its job_id"):
        replace(INTENT, phase=phase)  # type: ignore[arg-type]


def test_an_operation_has_an_outcome_exactly_when_closed() -> None:
    with pytest.raises(ValueError, match="exactly when it is closed"):
        replace(INTENT, phase="closed")
    with pytest.raises(ValueError, match="exactly when it is closed"):
        replace(INTENT, outcome="failed")


@pytest.mark.parametrize("phase", ["intent", "registered", "started"])
def test_a_version_has_one_open_operation(store: Store, lease: Lease, phase: str) -> None:
    at_phase(store, lease, phase)

    with pytest.raises(OperationConflict, match=f"attempt 1, {phase}, job j1"):
        put(store, lease, replace(INTENT, attempt=2))

    put(store, lease, replace(INTENT, label="2026-12"))
    assert len(store.operations(open_only=True)) == 2


def test_attempts_only_grow(store: Store, lease: Lease) -> None:
    at_phase(store, lease, "closed")

    with pytest.raises(OperationConflict, match="attempt 1 cannot begin"):
        put(store, lease, INTENT)

    assert put(store, lease, replace(INTENT, attempt=2)).attempt == 2


def test_an_operation_that_is_not_there_cannot_be_moved(store: Store, lease: Lease) -> None:
    with pytest.raises(OperationConflict, match="not in the store"):
        put(store, lease, replace(INTENT, id=7))


def test_a_jobs_url_with_a_query_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="may hold a signature") as caught:
        replace(INTENT, jobs_url="https://h/jobs?sig=SECRET")

    assert "SECRET" not in str(caught.value)
