"""What holds for every plan, whatever the world looks like."""

from __future__ import annotations

import itertools
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plan.decide import make_plan
from reconciler.plan.diff import plan_differences
from reconciler.plan.document import Action, Plan, TargetStatus
from reconciler.plan.render import json_text, markdown, text
from reconciler.plan.saved import load_plan
from reconciler.plan.states import (
    Converged,
    DesiredTarget,
    DesiredVersion,
    KnownVersion,
    Ledger,
    LiveBinding,
    LiveTarget,
    Location,
    Marker,
    ModelBinding,
    Problem,
    Proof,
    Served,
    VersionKey,
    VersionState,
)
from reconciler.spec.documents import Gate

KEYS = tuple(VersionKey(model, label) for model in ("m", "n") for label in ("1", "2"))
FINGERPRINTS = ("a" * 64, "b" * 64)
LOCATIONS = tuple(Location("https://x/", f"c/{name}.ilearner") for name in "pqr")
GATES = (Gate(metric="AUC", min=0.5), Gate(metric="AUC", max_drop=0.1), Gate(metric="Mean Absolute Error", max=1))
NOW = datetime(2026, 11, 24, tzinfo=UTC)
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that a terminal obeys, or cannot show."""

keys, fingerprints, locations = map(st.sampled_from, (KEYS, FINGERPRINTS, LOCATIONS))
names = st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | names
problems = st.builds(Problem, names, names, names)
metrics = st.dictionaries(st.sampled_from(["AUC", "auc", "Mean Absolute Error"]), st.floats())
answers = st.sampled_from([None, "x", "y"])
maps_of_settings = st.dictionaries(st.sampled_from(["A", "B"]), scalars)


def mostly(usual, *rare):
    """``usual`` nine times out of ten, else another strategy: plans that are all blocked teach little."""
    return st.integers(0, 9).flatmap(lambda drawn: usual if drawn < 9 or not rare else st.one_of(*rare))


nothing = st.none()


@st.composite
def worlds(draw):
    """The arguments of `make_plan`, in any combination that its types allow."""
    versions = [
        DesiredVersion(
            key,
            draw(mostly(st.just(FINGERPRINTS[0]), fingerprints, nothing)),
            draw(mostly(locations, nothing)),
            ready_made=draw(mostly(st.just(False), st.just(True))),
            gates=draw(st.sampled_from([(), GATES[:1], GATES])),
            inputs=draw(st.dictionaries(names, names, max_size=1)),
            problem=draw(mostly(nothing, problems)),
        )
        for key in draw(mostly(st.just(KEYS), st.sets(keys)))
    ]
    targets = [
        DesiredTarget(
            name=f"t{number}{draw(names)}",
            kind=draw(st.sampled_from(("ClassicEndpoint", "NewWebService"))),
            identity=draw(mostly(st.just(f"id{number}"), st.just("shared"))),
            bindings=() if absent else draw(bindings()),
            settings=draw(maps_of_settings),
            absent=absent,
            refresh=draw(mostly(st.just(False), st.just(True))),
        )
        for number in range(draw(st.integers(1, 4)))
        for absent in (draw(mostly(st.just(False), st.just(True))),)
    ]
    identities = {target.identity for target in targets}
    live = {identity: draw(lives(identity)) for identity in identities if draw(mostly(st.just(True), st.just(False)))}
    known = {key: draw(known_versions(key)) for key in draw(st.sets(keys, min_size=1))}
    converged = {identity: draw(records()) for identity in identities if draw(st.booleans())}
    return {
        "cloud": "local",
        "revision": "r",
        "partial": draw(st.booleans()),
        "versions": versions,
        "targets": targets,
        "live": live,
        "ledger": Ledger(known, converged),
        "now": NOW,
        "forced": draw(st.sampled_from([frozenset(), frozenset({"gate"})])),
    }


@st.composite
def bindings(draw):
    """One resource for the most part, sometimes none or two."""
    resources = draw(mostly(st.sampled_from([("r",), ("s",)]), st.sampled_from([(), ("r", "s")])))
    return tuple(ModelBinding(resource, draw(keys)) for resource in resources)


def markers():
    one = st.builds(Marker, keys, mostly(st.just("a" * 12), st.sampled_from(["b" * 12, ""])))
    return st.lists(one, max_size=2).map(tuple)


def bounds():
    uris = st.sampled_from([None, LOCATIONS[0].uri, "https://x/?sig=SECRET"])
    one = st.builds(LiveBinding, nothing | locations, mostly(st.sampled_from(["/p", "/q"]), nothing), uris)
    return st.dictionaries(st.sampled_from(["r", "s"]), one)


def lives(identity):
    return st.builds(
        LiveTarget,
        identity=st.just(identity),
        exists=mostly(st.just(True), st.just(False)),
        resources=mostly(st.sampled_from([None, ("r",), ("r", "s")]), st.just(())),
        bound=bounds(),
        markers=markers(),
        answers=answers,
        settings=maps_of_settings,
        stale=st.none() | st.booleans(),
        problem=mostly(nothing, problems),
        fingerprint=names,
    )


def known_versions(key):
    return st.builds(
        KnownVersion,
        key=st.just(key),
        fingerprint=mostly(st.just(FINGERPRINTS[0]), fingerprints),
        state=st.sampled_from(VersionState),
        location=st.none() | locations,
        metrics=metrics,
        attempt=st.integers(1, 3),
        message=names,
        trained_in=st.none() | st.just(timedelta(seconds=90)),
    )


def records():
    served = st.builds(Served, keys, mostly(st.just(FINGERPRINTS[0]), fingerprints), st.none() | locations)
    return st.builds(
        Converged,
        serves=st.dictionaries(st.sampled_from(["r", "s", ""]), served, max_size=2),
        proof=st.sampled_from(Proof),
        at=st.just(NOW),
        answers=answers,
        ignored_settings=maps_of_settings,
    )


def property_of(strategy, examples=100):
    """The same examples each run, so that a failure is one for everybody."""
    return lambda test: settings(derandomize=True, max_examples=examples, deadline=None, database=None)(
        given(strategy)(test)
    )


@property_of(worlds())
def test_every_target_is_in_exactly_one_group_and_that_is_its_status(world):
    plan = make_plan(**world)
    groups = {
        TargetStatus.BLOCKED: plan.blocked,
        TargetStatus.REFUSED: plan.refused,
        TargetStatus.HELD: plan.held,
        TargetStatus.DRIFT: plan.drift,
        TargetStatus.CHANGE: plan.changes,
        TargetStatus.IN_SYNC: plan.in_sync,
        TargetStatus.ORPHANED: plan.orphaned,
    }
    assert sorted(target.name for target in world["targets"]) == sorted(target.name for target in plan.targets)
    for status, targets in groups.items():
        assert all(target.status is status for target in targets)


@property_of(worlds())
def test_only_what_is_pending_has_steps_and_it_always_ends_with_proof(world):
    plan = make_plan(**world)
    for target in (*plan.held, *plan.refused, *plan.blocked):
        assert target.steps == ()
    for target in plan.in_sync:
        assert [step.action for step in target.steps] in ([], [Action.ADOPT, Action.VERIFY])
    for target in (*plan.changes, *plan.drift):
        assert target.steps[-1].action is Action.VERIFY
    for stopped in (*plan.held, *plan.refused, *plan.blocked):
        assert stopped.reasons
    if not plan.writes:
        assert list(plan.steps) == []


@property_of(worlds())
def test_every_step_waits_only_for_steps_of_the_plan_and_never_for_itself(world):
    plan = make_plan(**world)
    after = {step.id: step.after for step in plan.steps}
    assert len(after) == len(list(plan.steps))
    assert {needed for waits in after.values() for needed in waits} <= after.keys()
    TopologicalSorter(after).prepare()


@property_of(worlds())
def test_a_version_is_trained_exactly_when_a_pending_target_waits_for_it(world):
    plan = make_plan(**world)
    awaited = {needed for target in plan.targets for step in target.steps for needed in step.after}
    trained = [step.id for version in plan.versions for step in version.steps]
    assert sorted(trained) == sorted(step_id for step_id in awaited if step_id.startswith("train:"))
    assert not any(version.usable or version.problem for version in plan.versions if version.steps)


@property_of(worlds())
def test_the_plan_does_not_depend_on_the_order_of_what_it_is_made_of(world):
    plan = make_plan(**world)
    shuffled = {**world, "targets": world["targets"][::-1], "versions": world["versions"][::-1]}
    shuffled["live"] = dict(reversed(world["live"].items()))
    ledger = world["ledger"]
    shuffled["ledger"] = Ledger(dict(reversed(ledger.versions.items())), dict(reversed(ledger.converged.items())))
    assert plan == make_plan(**world) == make_plan(**shuffled)


@property_of(worlds())
def test_a_saved_plan_comes_back_as_it_was(world):
    plan = make_plan(**world)
    back = load_plan(json_text(plan))
    assert back.digest == plan.digest == back.computed_digest()
    assert plan_differences(plan, back) == ()


@property_of(worlds())
def test_every_plan_can_be_shown_and_no_control_character_or_signature_gets_through(world):
    plan = make_plan(**world)
    for shown in (text(plan), text(plan, ascii_only=True), markdown(plan), json_text(plan)):
        obeyed = {character for character in set(shown) if unicodedata.category(character) in OBEYED}
        assert obeyed <= {"\n", "\u200b"}
        assert "SECRET" not in shown
    json.loads(json_text(plan), parse_constant=pytest.fail)
    assert ("in sync" in text(plan)) or plan.pending


def test_a_number_that_json_has_not_is_shown_as_text(a):
    target = a.endpoint(settings={"A": float("inf")})
    plan = a.plan([target], [a.live(target, settings={"A": float("nan")})])
    assert load_plan(json_text(plan)).digest == plan.digest
    (difference,) = next(step.differences for step in plan.steps if step.id.startswith("settings"))
    assert (difference.old, difference.new) == ("nan", "inf")


def changed(plan: Plan, **update):
    return plan.model_copy(update=update).computed_digest()


def test_the_digest_changes_with_every_identity_and_with_nothing_that_does_not_matter(a):
    targets = [a.endpoint(), a.service()]
    plan = a.plan(targets, [a.live(targets[0]), a.live(targets[1], location=a.location(a.key("2026-09")))])
    first, second = plan.changes
    (version,) = plan.versions
    variants = [
        {"cloud": "public"},
        {"spec_revision": "other"},
        {"partial": True},
        {"forced": ("gate",)},
        {"versions": (version.model_copy(update={"fingerprint": "0" * 64}),)},
        {"targets": (second, first)},
        *(
            {"targets": (first.model_copy(update={field: "other"}), second)}
            for field in ("name", "identity", "desired", "live", "observed_fingerprint")
        ),
        {"targets": (first.model_copy(update={"models": ()}), second)},
    ]
    digests = [plan.digest, *(changed(plan, **variant) for variant in variants)]
    assert len(set(digests)) == len(digests)
    slower = version.model_copy(
        update={"steps": tuple(step.model_copy(update={"estimate_seconds": 9.0}) for step in version.steps)}
    )
    assert changed(plan, created_at=datetime(2030, 1, 1, tzinfo=UTC)) == plan.digest
    assert changed(plan, versions=(slower,)) == plan.digest


def test_two_fleets_that_differ_only_in_identity_have_different_digests(a):
    """A plan for one place must never pass for one for another."""
    digests = set()
    for identity, kind in itertools.product(("one", "two"), ("ClassicEndpoint", "NewWebService")):
        target = a.endpoint(identity=identity, kind=kind)
        digests.add(a.plan([target], [a.live(target, fingerprint="same")]).digest)
    assert len(digests) == 4
