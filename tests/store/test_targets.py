from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.store import Lease, ServedModel, Store, TargetRecord

AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
NEVER = TargetRecord(
    identity="w/s/clinica",
    name="clinic-a",
    kind="ClassicEndpoint",
    last_outcome="failed",
    last_message="503",
    last_at=AT,
    failures=3,
    next_attempt_at=AT + timedelta(minutes=2),
    attempted="0123456789abcdef",
)
CONVERGED = replace(
    NEVER,
    models=(
        ServedModel(
            resource="Breast Cancer [trained model]",
            model="breast-cancer",
            label="2026-11",
            fingerprint="a" * 64,
            base_location="https://a.blob.core.windows.net/",
            relative_location="m/a.ilearner",
        ),
        ServedModel(resource="Second [trained model]", model="second", label="1", fingerprint="b" * 64),
    ),
    answers="b" * 64,
    proof="proven",
    written={"storage.key": "0123456789abcdef"},
    not_taken={"DiagnosticsTraceLevel": "Error", "MaxConcurrentCalls": 20},
    converged_at=AT,
    last_outcome="converged",
    last_message="",
)


def test_a_target_is_read_back_as_it_was_put(store: Store, lease: Lease) -> None:
    with store.fenced(lease) as transaction:
        transaction.put_target(NEVER)
    assert store.target("w/s/clinica") == NEVER

    with store.fenced(lease) as transaction:
        transaction.put_target(CONVERGED)

    assert store.targets() == (CONVERGED,)
    assert store.target("w/s/other") is None


def test_a_failed_try_keeps_what_the_target_was_converged_to(store: Store, lease: Lease) -> None:
    failed = replace(CONVERGED, last_outcome="failed", last_message="503", last_at=AT + timedelta(hours=1))

    with store.fenced(lease) as transaction:
        transaction.put_target(CONVERGED)
        transaction.put_target(failed)

    assert failed == store.target("w/s/clinica")


def test_a_target_is_converged_as_a_whole_or_not_at_all() -> None:
    with pytest.raises(ValueError, match="together or not at all"):
        replace(CONVERGED, proof=None)


def test_a_target_that_was_deleted_is_forgotten_and_its_history_stays(store: Store, lease: Lease) -> None:
    with store.fenced(lease) as transaction:
        transaction.put_target(CONVERGED)
        transaction.add_event(run_id="r", subject="clinic-a", action="delete", outcome="deleted")
        transaction.remove_target(CONVERGED.identity)
        transaction.remove_target("w/s/never-was")

    assert store.targets() == ()
    assert [event.outcome for event in store.events("clinic-a")] == ["deleted"]


def test_a_transaction_sees_what_it_wrote_and_undoes_all_of_it(store: Store, lease: Lease) -> None:
    def fail_half_way() -> None:
        with store.fenced(lease) as transaction:
            transaction.put_target(CONVERGED)
            transaction.add_event(run_id="r", subject="clinic-a", action="repoint", outcome="ok")
            assert transaction.target("w/s/clinica") == CONVERGED
            raise KeyError("half way")

    with pytest.raises(KeyError, match="half way"):
        fail_half_way()

    assert store.targets() == ()
    assert list(store.events()) == []
