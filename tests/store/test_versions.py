from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.store import Lease, LocationTaken, Store, VersionImmutable, VersionRecord

AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
TRAINING = VersionRecord(
    model="breast-cancer",
    label="2026-11",
    fingerprint="a" * 64,
    state="training",
    recipe={"input1": "sha256 1a2b"},
    updated_at=AT,
)
USABLE = replace(
    TRAINING,
    state="usable",
    base_location="https://a.blob.core.windows.net/",
    relative_location="models/breast-cancer/2026-11/a.ilearner",
    metrics={"AUC": 0.99},
    trained_seconds=12.5,
)


def put(store: Store, lease: Lease, *records: VersionRecord) -> None:
    with store.fenced(lease) as transaction:
        for record in records:
            transaction.put_version(record)


def test_a_version_is_read_back_as_it_was_put(store: Store, lease: Lease) -> None:
    put(store, lease, USABLE)

    assert store.version("breast-cancer", "2026-11") == USABLE
    assert store.versions() == (USABLE,)
    assert store.version("breast-cancer", "2026-12") is None


def test_a_version_in_training_may_change_until_it_is_usable(store: Store, lease: Lease) -> None:
    failed = replace(TRAINING, state="failed", message="bad data")
    again = replace(TRAINING, fingerprint="b" * 64, attempt=2)

    put(store, lease, TRAINING, failed, again, USABLE)

    assert store.versions() == (USABLE,)


def test_a_usable_version_written_again_stays_as_it_is(store: Store, lease: Lease) -> None:
    put(store, lease, USABLE, replace(USABLE, metrics={"AUC": 0.1}, updated_at=AT + timedelta(days=1)))

    assert store.version("breast-cancer", "2026-11") == USABLE


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"fingerprint": "b" * 64}, "fingerprint"),
        ({"base_location": "https://b.blob.core.windows.net/"}, "base location"),
        ({"relative_location": "elsewhere.ilearner"}, "relative location"),
        ({"state": "training"}, "state"),
        ({"state": "failed"}, "state"),
    ],
)
def test_a_usable_version_never_changes(store: Store, lease: Lease, change: dict[str, str], difference: str) -> None:
    changed = replace(USABLE, **change)  # type: ignore[arg-type]
    put(store, lease, USABLE)

    with pytest.raises(VersionImmutable, match=f"{difference} differs") as caught:
        put(store, lease, changed)

    assert USABLE.fingerprint in str(caught.value)
    assert changed.fingerprint in str(caught.value)
    assert store.version("breast-cancer", "2026-11") == USABLE


@pytest.mark.parametrize("model", ["breast-cancer", "diabetes"])
def test_two_usable_versions_never_share_a_location(store: Store, lease: Lease, model: str) -> None:
    # The slash belongs to either part on the wire, so the places are compared and not the texts.
    other = replace(
        USABLE,
        model=model,
        label="2026-12",
        base_location="https://a.blob.core.windows.net",
        relative_location="/models/breast-cancer/2026-11/a.ilearner",
    )
    put(store, lease, USABLE)

    with pytest.raises(LocationTaken, match="breast-cancer@2026-11"):
        put(store, lease, other)


def test_a_version_not_yet_usable_may_name_the_location_of_another(store: Store, lease: Lease) -> None:
    put(store, lease, USABLE, replace(USABLE, label="2026-12", state="failed"))

    assert [version.state for version in store.versions()] == ["usable", "failed"]


def test_a_usable_version_needs_a_location() -> None:
    with pytest.raises(ValueError, match="without a location"):
        replace(TRAINING, state="usable")


def test_metrics_that_are_no_number_survive(store: Store, lease: Lease) -> None:
    put(store, lease, replace(USABLE, metrics={"a": math.nan, "b": -math.inf, "c": 1.0}))

    read = store.version("breast-cancer", "2026-11")

    assert read is not None
    assert math.isnan(read.metrics["a"])
    assert -math.inf == read.metrics["b"]
    assert read.metrics["c"] == 1.0


def test_times_come_back_in_utc_whatever_zone_they_were_given_in(store: Store, lease: Lease) -> None:
    put(store, lease, replace(TRAINING, updated_at=AT.astimezone(timezone(timedelta(hours=5)))))

    read = store.version("breast-cancer", "2026-11")

    assert read is not None
    assert read.updated_at == AT
    assert UTC is read.updated_at.tzinfo


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        replace(TRAINING, updated_at=AT.replace(tzinfo=None))


def test_a_location_with_a_signature_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="may hold a signature") as caught:
        replace(USABLE, relative_location="m.ilearner?sv=2020&sig=SECRET")

    assert "SECRET" not in str(caught.value)


def test_past_trainings_tell_their_durations_by_model_oldest_first(store: Store, lease: Lease) -> None:
    def trained(model: str, label: str, seconds: float | None, day: int) -> VersionRecord:
        return replace(
            USABLE,
            model=model,
            label=label,
            trained_seconds=seconds,
            relative_location=f"{model}/{label}",
            updated_at=AT + timedelta(days=day),
        )

    put(
        store,
        lease,
        trained("m", "new", 30.0, 3),
        trained("m", "old", 10.0, 1),
        trained("m", "ready-made", None, 2),
        trained("n", "only", 5.0, 1),
        replace(trained("n", "failed", 7.0, 1), state="failed"),
    )

    assert store.training_durations() == {"m": [10.0, 30.0], "n": [5.0]}
