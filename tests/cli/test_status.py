"""What ``reconcile status`` shows of failures, from a store of each kind of row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.cli.commands.status import status
from reconciler.cli.options import Listing
from reconciler.store import Store, TargetRecord, VersionRecord, this_process

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = tmp_path / "state.db"
    failed = TargetRecord(
        identity="w/s/a", name="a", kind="ClassicEndpoint", last_outcome="failed", last_message="503", last_at=NOW
    )
    counted = {"failures": 3, "next_attempt_at": NOW + timedelta(minutes=2)}
    rows = {
        "a": {**counted, "attempted": "d1"},
        "b": {"failures": 1, "next_attempt_at": NOW + timedelta(seconds=30)},
        "c": {"last_outcome": "held", **counted},
        "d": {"last_outcome": "held"},
        "e": {},
    }
    versions = (
        VersionRecord(
            model="m", label="1", fingerprint="f1", state="failed", message="no rows", updated_at=NOW, **counted
        ),
        VersionRecord(model="m", label="2", fingerprint="f2", state="training", updated_at=NOW, **counted),
        VersionRecord(model="m", label="3", fingerprint="f3", state="failed", message="no rows", updated_at=NOW),
    )
    with Store.open(path, clock=lambda: NOW) as opened:
        lease = opened.acquire("test", this_process("r"))
        with opened.fenced(lease) as transaction:
            for name, more in rows.items():
                values = {field: getattr(failed, field) for field in TargetRecord.__dataclass_fields__}
                transaction.put_target(TargetRecord(**values | {"name": name, "identity": f"w/s/{name}"} | more))
            for version in versions:
                transaction.put_version(version)
    return str(path)


def shown(store: str, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    status(name, store, Listing.TEXT)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["a", "m@1", "m@2"])
def test_a_target_or_version_that_failed_has_its_failures_and_its_next_attempt(
    store: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "      failed 3 times in a row, next attempt after 2026-11-01 12:02:00Z\n" in shown(store, name, capsys)


def test_one_failure_is_not_in_a_row(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "      failed once, next attempt after 2026-11-01 12:00:30Z\n" in shown(store, "b", capsys)


@pytest.mark.parametrize("name", ["c", "d", "e", "m@3"])
def test_a_target_that_is_held_and_what_failed_before_failures_were_counted_has_no_such_line(
    store: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "next attempt" not in shown(store, name, capsys)


def test_failures_and_the_next_attempt_are_in_the_json(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    status(None, store, Listing.JSON)

    body = json.loads(capsys.readouterr().out)
    due = "2026-11-01T12:02:00+00:00"
    targets = {target["name"]: (target["failures"], target["next_attempt_at"]) for target in body["targets"]}
    assert targets == {
        "a": (3, due),
        "b": (1, "2026-11-01T12:00:30+00:00"),
        "c": (3, due),
        "d": (0, None),
        "e": (0, None),
    }
    versions = {version["label"]: (version["failures"], version["next_attempt_at"]) for version in body["versions"]}
    assert versions == {"1": (3, due), "2": (3, due), "3": (0, None)}
