from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from reconciler.store import Event, Lease, Store, StoreError
from reconciler.store.history import PAGE


def add(store: Store, subject: str, run_id: str = "r1", **more: object) -> Event:
    return store.add_event(
        run_id=run_id,
        subject=subject,
        action="repoint",
        outcome="ok",
        **more,  # type: ignore[arg-type]
    )


def test_an_event_carries_the_time_at_which_it_was_written(store: Store, clock) -> None:
    clock.forward(minutes=5)

    event = add(store, "clinic-a", message="repointed", details={"proof": "proven", "seconds": 1.5, "old": None})

    assert datetime(2026, 11, 1, 12, 5, tzinfo=UTC) == event.at
    assert [event] == list(store.events())


def test_the_history_is_read_newest_first(store: Store, clock) -> None:
    written = []
    for _ in range(3):
        clock.forward(seconds=1)
        written.append(add(store, "clinic-a"))

    assert written[::-1] == list(store.events())


def test_the_history_is_selected_by_subject_and_by_run(store: Store) -> None:
    first = add(store, "a", "r1")
    second = add(store, "b", "r1")
    third = add(store, "a", "r2")

    assert [third, first] == list(store.events("a"))
    assert [second, first] == list(store.events(run_id="r1"))
    assert [third] == list(store.events("a", run_id="r2"))


def test_a_history_longer_than_a_page_is_read_whole_or_up_to_a_limit(store: Store, lease: Lease) -> None:
    total = PAGE + 3
    with store.fenced(lease) as transaction:
        written = [transaction.add_event(run_id="r", subject="a", action="note", outcome="ok").id for _ in range(total)]

    assert written[::-1] == [event.id for event in store.events()]
    assert written[::-1][: PAGE + 1] == [event.id for event in store.events(limit=PAGE + 1)]
    assert list(store.events(limit=0)) == []


def test_writing_goes_on_while_the_history_is_being_read(store: Store) -> None:
    oldest = add(store, "a")
    newest = add(store, "a")

    reading = store.events()
    assert [newest] == list(islice(reading, 1))
    add(store, "a")

    assert [oldest] == list(reading)


def test_details_that_json_cannot_hold_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="not JSON serializable"):
        add(store, "a", details={"when": timedelta(1)})

    assert list(store.events()) == []
