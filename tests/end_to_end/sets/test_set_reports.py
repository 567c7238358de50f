"""The end and the progress of a run over many stay readable."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from reconciler.apply.progress import ProgressEvent, ProgressState
from reconciler.apply.report import Outcome, Report, Result
from reconciler.cli.progress import Lines
from reconciler.cli.summary import summary
from reconciler.plan.document import Plan, TargetPlan, TargetStatus
from reconciler.plan.states import Evidence

KIND = "ClassicEndpoint"


def planned(name: str, group: str = "") -> TargetPlan:
    return TargetPlan(
        name=name, kind=KIND, identity=f"ws/svc/{name}", status=TargetStatus.CHANGE, desired=f"{name}@2026-11",
        live=None, evidence=Evidence.UNKNOWN, observed_fingerprint="", group=group,
    )  # fmt: skip


def test_the_same_reason_of_many_items_is_one_line_with_the_count_and_the_first_names():
    names = [f"bikes-{number:03}" for number in range(40)]
    plan = Plan(
        created_at=datetime(2026, 11, 24, tzinfo=UTC), cloud="local", spec_revision="r",
        targets=(planned("clinic-a"), *(planned(name, "bikes") for name in names)),
    )  # fmt: skip
    outcomes = [Outcome("clinic-a", KIND, Result.CONVERGED, "serves breast-cancer@2026-11, verified")]
    for number, name in enumerate(names):
        reason = f"{name}@2026-11 cannot be used: job {number:032x} failed: BikeRental{name[-3:]}.csv has no column cnt"
        if number < 12:
            outcomes.append(Outcome(name, KIND, Result.FAILED, reason))
        elif number == 12:
            outcomes.append(Outcome(name, KIND, Result.FAILED, "the storage answers 503"))
        else:
            outcomes.append(
                Outcome(name, KIND, Result.CONVERGED, f"serves {name}@2026-11, verified: the answers changed")
            )

    lines = summary(plan, Report(tuple(outcomes))).splitlines()

    assert [
        "clinic-a: converged: serves breast-cancer@2026-11, verified",
        (
            "bikes: 12 failed: … cannot be used: job … failed: BikeRental….csv has no column cnt "
            "(bikes-000, bikes-001, bikes-002, bikes-003, bikes-004 and 7 more)"
        ),
        "bikes-012: failed: the storage answers 503",
        (
            "bikes: 27 converged: serves …, verified: the answers changed "
            "(bikes-013, bikes-014, bikes-015, bikes-016, bikes-017 and 22 more)"
        ),
        "Partly converged: 28 converged, 13 failed",
    ] == lines


def test_the_progress_of_a_thousand_is_twenty_lines_and_what_failed():
    names = [f"bikes-{number:03}" for number in range(1000)]
    stream = io.StringIO()
    lines = Lines(stream, frozenset(names))
    for number, name in enumerate(names):
        lines(ProgressEvent(f"{name}@2026-11", ProgressState.STARTED, "training started, attempt 1"))
        lines(ProgressEvent(f"{name}@2026-11", ProgressState.DONE, "trained"))
        lines(ProgressEvent(name, ProgressState.STARTED, "pointing it"))
        lines(
            ProgressEvent(
                name, ProgressState.FAILED if number == 7 else ProgressState.DONE, "why" if number == 7 else "serves it"
            )
        )

    shown = stream.getvalue().splitlines()

    assert 21 == len(shown)
    assert "bikes-007: failed: why" == shown[0]
    assert "1,000/1,000 targets, 1,000 versions trained, 1 failed" == shown[-1]


def test_the_progress_of_a_few_tells_each_step():
    stream = io.StringIO()
    lines = Lines(stream, frozenset({"clinic-a"}))
    lines(ProgressEvent("clinic-a", ProgressState.STARTED, "pointing it"))
    lines(ProgressEvent("clinic-a", ProgressState.DONE, "serves it"))

    assert ["clinic-a: start: pointing it", "clinic-a: done: serves it"] == stream.getvalue().splitlines()


def test_what_a_service_says_does_not_steer_the_terminal():
    stream = io.StringIO()
    Lines(stream)(ProgressEvent("clinic-a", ProgressState.FAILED, "Error\x1b[2J 0049\r\nbad data"))

    assert "clinic-a: failed: Error\\x1b[2J 0049\\x0d\\x0abad data\n" == stream.getvalue()
