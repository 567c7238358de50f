"""What is live, from each combination of what a target shows and what the ledger remembers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.plan.live import find_live_versions, versions_by_uri
from reconciler.plan.states import Evidence, Location, Marker, Proof

OLD, WANTED = "2026-09", "2026-11"


def understood(a, live=None, converged=None, known=(WANTED,), **version):
    """Understand the one model of an endpoint that wants 2026-11; ``known`` labels are usable in the ledger."""
    target = a.endpoint(label=WANTED)
    ledger = a.ledger(*map(a.known, known))
    desired = a.version(WANTED, **version)
    shown = a.live(target, **(live or {}))
    wanted = {desired.key: replace(desired, record=ledger.versions.get(desired.key))}
    (found,) = find_live_versions(target, wanted, shown, converged, versions_by_uri([desired], ledger))
    return found


def codes(found):
    return {reason.code for reason in found.reasons}


def test_the_location_that_a_service_shows_is_the_truth_whatever_else_is_said(a):
    live = {"location": a.location(a.key(WANTED)), "marker": a.marker(OLD), "answers": "other"}
    found = understood(a, live, a.converged(OLD, answers="recorded"))
    assert (a.key(WANTED), Evidence.LOCATION, True) == (found.version, found.evidence, found.in_sync)


def test_a_location_is_the_same_however_it_is_cut_and_signed(a):
    uri = a.location(a.key(WANTED)).uri
    cut = uri.index("models/") + len("models/")
    assert understood(a, {"location": Location(uri[:cut], uri[cut:])}).in_sync
    assert understood(a, {"uri": f"{uri}?sv=2026&sig=secret"}).in_sync


def test_another_known_location_is_drift_only_if_we_had_converged_to_the_wanted_one(a):
    live = {"location": a.location(a.key(OLD))}
    drift = understood(a, live, a.converged(WANTED), known=(OLD, WANTED))
    assert (a.key(OLD), True) == (drift.version, drift.drifted)
    change = understood(a, live, a.converged(OLD), known=(OLD, WANTED))
    assert (a.key(OLD), False) == (change.version, change.drifted)
    assert {"version"} == codes(change)


def test_a_foreign_location_is_shown_without_its_signature(a):
    found = understood(a, {"uri": "https://elsewhere/x.ilearner?sig=secret"})
    assert found.version is None
    assert found.text == "https://elsewhere/x.ilearner"
    assert {"foreign-location", "adopt"} == codes(found)


def test_what_serves_the_wanted_place_is_in_sync_whether_it_carries_our_note_or_not(a):
    live = {"location": a.location(a.key(WANTED))}
    for shown in (live, {**live, "marker": a.marker(WANTED)}):
        found = understood(a, shown, known=(WANTED,))
        assert found.in_sync
        assert set() == codes(found)


def test_what_serves_another_place_and_was_never_ours_is_taken_over(a):
    found = understood(a, {"location": a.location(a.key(OLD))}, known=(OLD, WANTED))
    assert {"version", "adopt"} == codes(found)


COPY = Location("https://internal/", "azuremlassetscontainer/1.ilearner")


def test_a_copy_that_the_service_showed_when_it_was_converged_is_that_version(a):
    """classic-protocol 1.5: what is shown may be a copy that the service made, at a place of its own."""
    found = understood(a, {"location": COPY}, a.converged(WANTED, location=COPY))
    assert (a.key(WANTED), Evidence.LOCATION, True) == (found.version, found.evidence, found.in_sync)
    older = understood(a, {"location": COPY}, a.converged(OLD, location=COPY))
    assert (a.key(OLD), False, False) == (older.version, older.in_sync, older.drifted)


def test_another_place_than_that_of_the_recorded_copy_is_drift(a):
    elsewhere = Location(COPY.base, "azuremlassetscontainer/2.ilearner")
    found = understood(a, {"location": elsewhere}, a.converged(WANTED, location=COPY))
    assert (None, True) == (found.version, found.drifted)
    assert {"foreign-location"} == codes(found)


def test_a_ready_made_version_is_recognised_by_its_location_though_the_ledger_never_saw_it(a):
    live = {"location": a.location(a.key(WANTED))}
    assert understood(a, live, known=(), ready_made=True).in_sync


def test_answers_as_recorded_are_evidence_by_probe(a):
    live = {"marker": a.marker(WANTED), "answers": "recorded"}
    found = understood(a, live, a.converged(WANTED, answers="recorded"))
    assert (found.in_sync, found.evidence) == (True, Evidence.PROBE)


def test_answers_that_do_not_tell_versions_apart_are_no_evidence(a):
    """Accepted: the model before gave the same answers, so *probe* would claim more than is known."""
    live = {"marker": a.marker(WANTED), "answers": "recorded"}
    found = understood(a, live, a.converged(WANTED, answers="recorded", proof=Proof.ACCEPTED))
    assert (found.in_sync, found.evidence) == (True, Evidence.MARKER)


@pytest.mark.parametrize("marked", [True, False])
def test_other_answers_are_drift_to_something_unknown(a, marked):
    """Whoever patches the model outside reconciler leaves our marker as it was."""
    live = {"marker": a.marker(WANTED) if marked else None, "answers": "other"}
    found = understood(a, live, a.converged(WANTED, answers="recorded"))
    assert (found.version, found.text, found.evidence) == (None, None, Evidence.PROBE)
    assert found.drifted
    assert "recorded on 2026-11-03" in found.reasons[0].text


def test_other_answers_after_the_spec_moved_are_a_change(a):
    live = {"marker": a.marker(OLD), "answers": "other"}
    found = understood(a, live, a.converged(OLD, answers="recorded"))
    assert (found.in_sync, found.drifted) == (False, False)


@pytest.mark.parametrize("probe", [{}, {"answers": "other"}])
def test_a_marker_of_another_version_is_believed_against_the_ledger(a, probe):
    live = {"marker": a.marker(OLD), **probe}
    found = understood(a, live, a.converged(WANTED, answers="recorded"))
    assert (a.key(OLD), Evidence.MARKER, True) == (found.version, found.evidence, found.drifted)
    assert {"marker-differs", "moved"} == codes(found)


def test_a_marker_that_contradicts_the_answers_is_put_right(a):
    live = {"marker": a.marker(OLD), "answers": "recorded"}
    found = understood(a, live, a.converged(WANTED, answers="recorded"))
    assert (a.key(WANTED), Evidence.PROBE) == (found.version, found.evidence)
    assert found.drifted


def test_a_missing_marker_is_drift_that_only_the_ledger_speaks_for(a):
    found = understood(a, {}, a.converged(WANTED))
    assert (a.key(WANTED), Evidence.LEDGER, True) == (found.version, found.evidence, found.drifted)
    assert {"marker-missing"} == codes(found)


def test_a_missing_marker_is_a_note_when_the_answers_are_as_recorded(a):
    found = understood(a, {"answers": "recorded"}, a.converged(WANTED, answers="recorded"))
    assert found.in_sync
    assert {"marker-missing"} == codes(found)


def test_marker_and_ledger_together_are_in_sync_by_marker(a):
    found = understood(a, {"marker": a.marker(WANTED)}, a.converged(WANTED))
    assert (found.in_sync, found.evidence) == (True, Evidence.MARKER)


def test_with_the_ledger_lost_the_marker_alone_is_believed(a):
    found = understood(a, {"marker": a.marker(WANTED)}, known=())
    assert (found.in_sync, found.evidence) == (True, Evidence.MARKER)
    other = understood(a, {"marker": a.marker(OLD)}, known=())
    assert (False, a.key(OLD), False) == (other.in_sync, other.version, other.drifted)


def test_a_marker_of_another_recipe_under_the_same_label_is_not_in_sync(a):
    found = understood(a, {"marker": Marker(a.key(WANTED), "000000000000")}, known=())
    assert not found.in_sync
    assert {"other-recipe"} == codes(found)


@pytest.mark.parametrize("before", [None, OLD])
def test_a_move_that_was_never_recorded_is_done_again(a, before):
    """A run was killed between update and record: without proof on record, drift could not be seen."""
    converged = a.converged(before, answers="old") if before else None
    found = understood(a, {"marker": a.marker(WANTED), "answers": "new"}, converged)
    assert (False, a.key(WANTED), False) == (found.in_sync, found.version, found.drifted)
    assert {"unconfirmed"} == codes(found)


def test_a_target_that_nothing_is_known_of_is_taken_over(a):
    found = understood(a)
    assert (found.version, found.evidence, found.in_sync) == (None, Evidence.UNKNOWN, False)
    assert {"adopt"} == codes(found)


def test_a_removed_target_is_drift_and_one_that_never_was_is_a_change(a):
    absent = {"exists": False, "resources": None}
    assert understood(a, absent, a.converged(WANTED)).drifted
    assert not understood(a, absent).drifted


def test_without_a_fingerprint_the_label_is_all_there_is_to_compare(a):
    found = understood(a, {"marker": a.marker(WANTED)}, a.converged(WANTED), known=(), fingerprint=None, location=None)
    assert found.in_sync
