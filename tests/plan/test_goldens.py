"""Whole plans as people and programs read them, kept as files in ``goldens/``.

After a wanted change of a rendering, write them anew and look at what the version control shows::

    UPDATE_GOLDENS=1 pytest tests/plan/test_goldens.py
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.plan.checks.facts import Access, Facts, Grant, Quota, RequiredPermission, Signature, Storage
from reconciler.plan.checks.judge import with_preflight
from reconciler.plan.document import Action
from reconciler.plan.render import json_text, markdown, text
from reconciler.plan.states import ModelBinding, Problem, Served, VersionState
from reconciler.spec.documents import Gate

GOLDENS = Path(__file__).parent / "goldens"
RENDERINGS = {"txt": text, "json": json_text, "md": markdown}
GATES = (Gate(metric="AUC", min=0.95), Gate(metric="AUC", max_drop=0.01))
OLD, NEW = "2026-09", "2026-11"
SETTINGS = {"Description": "Clinic A", "MaxConcurrentCalls": 20, "ThrottleLevel": "High"}


def first_converge(a):
    endpoint, service = a.endpoint(settings=SETTINGS), a.service()
    live = [
        a.live(endpoint, exists=False, resources=None),
        a.live(service, uri="https://studio.blob.core.windows.net/experiments/baca7bca.ilearner"),
    ]
    return a.plan([endpoint, service], live, versions=[a.version(gates=GATES)])


def in_sync(a):
    endpoint, service = a.endpoint(), a.service()
    ledger = a.ledger(a.known(), converged={endpoint.identity: a.converged(answers="recorded")})
    live = [
        a.live(endpoint, marker=a.marker(), answers="recorded"),
        a.live(service, location=a.location(a.key()), marker=a.marker()),
    ]
    return a.plan([endpoint, service], live, ledger)


def adopted(a):
    endpoint, service = a.endpoint(), a.service()
    live = [a.live(each, location=a.location(a.key())) for each in (endpoint, service)]
    return a.plan([endpoint, service], live, a.ledger(a.known()))


def version_bump(a):
    targets = [a.endpoint("clinic-a"), a.endpoint("clinic-b"), a.service()]
    ledger = a.ledger(
        a.known(OLD), converged={target.identity: a.converged(OLD, answers="recorded") for target in targets}
    )
    live = [a.live(target, marker=a.marker(OLD), answers="recorded") for target in targets[:2]]
    live.append(a.live(targets[2], location=a.location(a.key(OLD))))
    return a.plan(targets, live, ledger, [a.version(NEW, gates=GATES)])


def drift_by_probe(a):
    target = a.endpoint()
    ledger = a.ledger(a.known(), converged={target.identity: a.converged(answers="recorded")})
    return a.plan([target], [a.live(target, marker=a.marker(), answers="other")], ledger)


def drift_by_location(a):
    targets = [a.service(), a.service("stroke-new")]
    ledger = a.ledger(a.known(OLD), a.known(), converged={target.identity: a.converged() for target in targets})
    live = [
        a.live(targets[0], location=a.location(a.key(OLD))),
        a.live(targets[1], uri="https://elsewhere.blob.core.windows.net/x/y.ilearner?sv=2026&sig=c2VjcmV0"),
    ]
    return a.plan(targets, live, ledger)


def gate_held(a):
    targets = [a.endpoint("clinic-a"), a.endpoint("clinic-b")]
    ledger = a.ledger(
        a.known(OLD), a.known(NEW, metrics={"AUC": 0.8125}), converged={targets[0].identity: a.converged(OLD)}
    )
    live = [a.live(targets[0], marker=a.marker(OLD)), a.live(targets[1])]
    forced = frozenset({"gate:clinic-b"})
    return a.plan(targets, live, ledger, [a.version(NEW, gates=GATES)], forced=forced)


def blocked(a):
    names = ("changed-recipe", "no-such-resource", "unreachable")
    targets = [a.endpoint(names[0], OLD), *map(a.endpoint, names[1:]), a.service("not-deployed")]
    live = [
        a.live(targets[0]),
        a.live(targets[1], resources=("Stroke [trained model]", "Breast Cancer [trained model 2]")),
        a.live(targets[2], problem=Problem("sign-in", "the workspace token was refused (401)", "renew the token")),
        a.live(
            targets[3],
            exists=False,
            problem=Problem("create-unsupported", "it does not exist", "deploy it once from Studio"),
        ),
    ]
    ledger = a.ledger(a.known(OLD, fingerprint="f" * 64), a.known(NEW))
    return a.plan(targets, live, ledger)


def mixed_fleet(a):
    quiet = [a.endpoint(f"ward-{number:02d}") for number in range(24)]
    moving = [a.endpoint("clinic-a", NEW), a.endpoint("clinic-b", NEW, settings=SETTINGS)]
    drifted, late = a.endpoint("clinic-c"), a.endpoint("clinic-d", "2026-12", settings=SETTINGS)
    wrong = a.endpoint("clinic-e", resource="Nothing [trained model]")
    failed = a.known("2026-12", state=VersionState.FAILED, location=None, message="the job ran out of memory")
    settled = (*quiet, drifted, moving[1])
    converged = {target.identity: a.converged() for target in settled}
    live = [
        *(a.live(target, marker=a.marker()) for target in quiet),
        a.live(moving[0], marker=a.marker(OLD)),
        a.live(moving[1], marker=a.marker(), settings={**SETTINGS, "ThrottleLevel": "Low"}),
        a.live(drifted, marker=a.marker(OLD)),
        a.live(late, marker=a.marker(), settings=SETTINGS),
        a.live(wrong),
    ]
    ledger = a.ledger(a.known(OLD), a.known(), failed, converged=converged)
    targets = [*quiet, *moving, drifted, late, wrong]
    versions = [a.version(), a.version("2026-12", gates=GATES)]
    return a.plan(targets, live, ledger, versions, partial=True)


def several_models_and_deletion(a):
    """An endpoint with two models of which one moves, a stale one, one to be deleted, one that must not be."""
    ears, eyes = a.key(NEW, "ears"), a.key(NEW, "eyes")
    both = a.endpoint(
        "clinic-a", bindings=(ModelBinding("Ears [trained model]", ears), ModelBinding("Eyes [trained model]", eyes))
    )
    stale = a.endpoint("clinic-b", NEW, refresh=True)
    gone, theirs = (a.endpoint(name, bindings=(), absent=True) for name in ("clinic-c", "clinic-d"))
    live = [
        a.live(both, markers=(a.marker(OLD, "ears"), a.marker(NEW, "eyes"))),
        a.live(stale, marker=a.marker(NEW), stale=True),
        a.live(gone, marker=a.marker(OLD)),
        a.live(theirs),
    ]
    served = {
        use.resource: Served(a.key(label, use.version.model), a.fingerprint(a.key(label, use.version.model)))
        for use, label in zip(both.bindings, (OLD, NEW), strict=True)
    }
    ledger = a.ledger(
        a.known(OLD, "ears"),
        a.known(NEW, "eyes"),
        a.known(NEW),
        converged={both.identity: a.converged(serves=served), stale.identity: a.converged(NEW)},
    )
    return a.plan([both, stale, gone, theirs], live, ledger)


def before_it_starts(a):
    """What the preflight stops, warns of and cannot tell, and what the rest will take."""
    targets = [a.endpoint(name) for name in ("clinic-a", "clinic-b", "clinic-c")] + [a.service()]
    live = [a.live(target, exists=False, resources=None) for target in targets[:2]]
    live += [a.live(target, marker=a.marker(OLD)) for target in targets[2:]]
    ledger = a.ledger(a.known(OLD), a.known("2026-08", trained_in=timedelta(minutes=4)))
    plan = a.plan(targets, live, ledger)
    training, repointing, making = (
        [step.id for step in plan.steps if step.action is action]
        for action in (Action.TRAIN, Action.REPOINT, Action.CREATE)
    )
    group = "/subscriptions/0f/resourceGroups/ml"
    facts = Facts(
        quotas=dict.fromkeys(making, Quota("web service Breast Cancer of workspace contoso (free)", 2, 3)),
        needs={
            repointing[0]: (RequiredPermission("Microsoft.MachineLearning/webServices/write", f"{group}/x", group),)
        },
        access={group: Access((Grant(("*/read",)),))},
        storage={
            Storage("workspace contoso", a.account, ahead=timedelta(minutes=-2, seconds=-7)): frozenset(training),
            Storage("workspace fabrikam", unreached="connection refused"): frozenset(training),
        },
        signatures={Signature("version 2026-11", ends=a.now + timedelta(minutes=7)): frozenset(repointing[-1:])},
    )
    return with_preflight(plan, facts, ledger, a.now, 8)


SCENARIOS = (
    first_converge,
    in_sync,
    adopted,
    version_bump,
    drift_by_probe,
    drift_by_location,
    gate_held,
    blocked,
    mixed_fleet,
    several_models_and_deletion,
    before_it_starts,
)


@pytest.mark.parametrize("ending", RENDERINGS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_plan_reads_as_its_golden(a, scenario, ending):
    golden = GOLDENS / f"{scenario.__name__}.{ending}"
    rendered = RENDERINGS[ending](scenario(a))
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


def test_there_is_no_golden_without_its_scenario():
    expected = {f"{scenario.__name__}.{ending}" for scenario in SCENARIOS for ending in RENDERINGS}
    assert expected == {path.name for path in GOLDENS.iterdir()}
