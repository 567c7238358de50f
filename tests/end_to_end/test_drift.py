"""What others do to live targets outside reconciler: it is seen, named with its evidence, and repaired."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.studio import SETTINGS, SHOWS_LOCATION

# Whether what a pass needs to know can all be read from the live side.
_ALL_IS_SHOWN = (SETTINGS.bound_location, SETTINGS.limits_patch, SETTINGS.shown_calls) in {
    (location, "taken", "asPut") for location in ("absent", "null", "shown")
}
BREAST_CANCER = "Breast Cancer [trained model]"
INITIAL = "models/initial/breast-cancer.ilearner"
NEW_SERVICE = (
    "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml"
    "/providers/Microsoft.MachineLearning/webServices/BreastCancer?api-version=2017-01-01"
)


def _only(targets: list[dict[str, Any]], name: str) -> dict[str, Any]:
    assert [name] == [target["name"] for target in targets]
    return targets[0]


def _reasons(target: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in target["reasons"]]


def _writes(desk: Any, sent: int) -> list[str]:
    return [request["path"] for request in desk.studio.requests()[sent:] if request["kind"] == "write"]


@pytest.mark.parametrize("overwrite", [False, True], ids=["model-alone", "description-too"])
def test_a_classic_endpoint_moved_to_another_model_is_seen_by_its_answers_and_repaired(
    converged: Any, overwrite: bool
) -> None:
    """The service may show no location, and our marker may still be there: then only scoring tells."""
    before = converged.studio.answers("clinica")
    others = {"Description": "mine now"} if overwrite else {}
    converged.studio.change("clinica", Resources=[converged.studio.resource(BREAST_CANCER, INITIAL)], **others)
    moved = _until(lambda: converged.studio.answers("clinica"), lambda answers: answers != before)

    plan = converged.plan("--detailed-exitcode", code=2)

    drift = _only(plan["drift"], "clinic-a")
    expected = ("location", "foreign-location") if SHOWS_LOCATION else ("probe", "answers-differ")
    assert expected == (drift["evidence"], _reasons(drift)[0])
    assert [] == plan["changes"]
    assert "verified" in converged.run("--yes").stdout
    assert before == converged.studio.answers("clinica") != moved
    assert converged.studio.endpoint("clinica")["Description"].startswith("Clinic A [reconciler: breast-cancer@2026-10")
    assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout


def _until(look: Callable[[], Any], seen: Callable[[Any], bool]) -> Any:
    """Look again until it is seen: a change takes effect a moment after it was accepted."""
    for _ in range(1000):
        found = look()
        if seen(found):
            return found
    raise AssertionError("it was never seen")


def _properties(desk: Any) -> dict[str, Any]:
    """A New definition's properties in camelCase, whatever the service writes."""
    properties: dict[str, Any] = desk.studio.send("GET", NEW_SERVICE, desk.studio.sign_in())["properties"]
    return {**properties, "assets": _camel(properties["assets"])}


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _camel(inner) for name, inner in value.items()}
    return value


def test_a_new_service_moved_to_another_model_is_seen_by_its_location_and_repaired(converged: Any) -> None:
    assets = _properties(converged)["assets"]
    name = next(name for name, asset in assets.items() if BREAST_CANCER == asset["name"])
    ours = assets[name]["locationInfo"]["uri"]
    foreign = f"{ours.partition('/models/')[0]}/{INITIAL}"
    _patch_new(converged, assets={**assets, name: {**assets[name], "locationInfo": {"uri": foreign}}})

    def shown() -> Any:
        return _properties(converged)["assets"][name]["locationInfo"]["uri"]

    _until(shown, lambda uri: uri == foreign)
    drift = _only(converged.plan("--detailed-exitcode", code=2)["drift"], "breast-cancer-new")

    assert ("location", foreign) == (drift["evidence"], drift["live"])
    (repoint,) = [step for step in drift["steps"] if step["action"] == "repoint"]
    assert [("test", foreign), ("replace", ours)] == [(each["op"], each["value"]) for each in repoint["patch"]]
    converged.run("--yes")
    assert ours == shown()
    assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout


def _patch_new(desk: Any, **properties: Any) -> None:
    body = {"properties": {"packageType": "Graph", **properties}}
    desk.studio.send("PATCH", NEW_SERVICE, desk.studio.sign_in(), body)


def test_a_description_edited_by_hand_is_written_back_without_touching_the_model(converged: Any) -> None:
    converged.studio.change("clinica", Description="Clinic A, on the second floor")
    sent = len(converged.studio.requests())

    change = _only(converged.plan("--detailed-exitcode", code=2)["changes"], "clinic-a")
    converged.run("--yes")

    assert ["settings", "verify"] == [step["action"] for step in change["steps"]]
    assert 1 == len(_writes(converged, sent))
    assert "breast-cancer@2026-10" in converged.studio.endpoint("clinica")["Description"]
    assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout


def test_an_unmanaged_description_edited_by_hand_stays_and_our_note_is_put_back_on_it(converged: Any) -> None:
    """diabetes-progress does not manage it; its answers show that the model was not touched."""
    converged.studio.change("progress", Description="rewritten by hand")

    converged.run("--dry-run", "--detailed-exitcode")
    sent = len(converged.studio.requests())
    assert "diabetes-progress: adopted: serves diabetes@2026-10, verified: " in converged.run("--yes").stdout

    assert 1 == len(_writes(converged, sent))
    described = converged.studio.endpoint("progress")["Description"]
    assert described.startswith("rewritten by hand [reconciler: diabetes@2026-10 ")
    sent = len(converged.studio.requests())
    converged.run()
    assert [] == _writes(converged, sent)


def test_a_deleted_endpoint_is_created_again(converged: Any) -> None:
    converged.studio.send("DELETE", converged.studio.path_of("clinicb"), converged.studio.token())

    drift = _only(converged.plan("--detailed-exitcode", code=2)["drift"], "clinic-b")
    converged.run("--yes")

    assert ["absent"] == _reasons(drift)[:1]
    assert ["create", "repoint", "settings", "verify"] == [step["action"] for step in drift["steps"]]
    endpoint = converged.studio.endpoint("clinicb")
    calls = 200 if SETTINGS.shown_calls == "tuned" else 20
    assert ("High", calls) == (endpoint["ThrottleLevel"], endpoint["MaxConcurrentCalls"])
    assert converged.studio.answers("clinica") == converged.studio.answers("clinicb")
    assert 2 == len(converged.studio.jobs())
    assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout


def test_settings_changed_by_hand_are_put_back_on_both_kinds(converged: Any) -> None:
    studio = converged.studio
    # What the service does not take, or does not show, nobody can change outside reconciler.
    takes_limits = SETTINGS.limits_patch == "taken" and SETTINGS.shown_calls == "asPut"
    if takes_limits:
        studio.change("clinica", MaxConcurrentCalls=7)
    _patch_new(converged, diagnostics={"level": "All"})
    _until(lambda: _properties(converged), lambda shown: "All" == shown["diagnostics"]["level"])

    plan = converged.plan("--detailed-exitcode", code=2)
    converged.run("--yes")

    found = {
        target["name"]: [(each["field"], each["old"], each["new"]) for each in target["steps"][0]["differences"]]
        for target in plan["changes"]
    }
    expected = {"breast-cancer-new": [("diagnostics", "All", "Error")]}
    if takes_limits:
        expected["clinic-a"] = [("MaxConcurrentCalls", 7, 20)]
        assert 20 == studio.endpoint("clinica")["MaxConcurrentCalls"]
    assert expected == found
    status = converged.run("status").stdout
    assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout
    assert 4 == status.count("verified"), "writing settings takes nothing of what was proven of the model"


def test_a_lost_store_is_filled_again_from_the_live_side_without_retraining(converged: Any) -> None:
    """The markers tell what is served, and the artifacts lie where their recipe says: nothing is made again."""
    metrics = _metrics(converged)
    shutil.rmtree(converged.store.parent)
    sent = len(converged.studio.requests())

    if _ALL_IS_SHOWN:
        assert "in sync: 4 targets" in converged.run("--dry-run", "--detailed-exitcode").stdout
        assert not converged.store.exists()
        assert "in sync" in converged.run("--yes").stdout
        assert [] == _writes(converged, sent)
    else:
        # Where a copy lies, and what the service does not take, the store alone knew: that is written once more.
        assert "converged" in converged.run("--yes").stdout
    sent = len(converged.studio.requests())

    assert metrics == _metrics(converged)
    assert 2 == len(converged.studio.jobs())
    assert "in sync: 4 targets" in converged.run("--yes").stdout
    assert [] == _writes(converged, sent)


def test_with_a_lost_store_an_artifact_that_is_there_is_taken_over_instead_of_trained_again(converged: Any) -> None:
    """It would be written over otherwise, at the very path that live targets were pointed to."""
    metrics = _metrics(converged)
    shutil.rmtree(converged.store.parent)
    for name in ("clinica", "clinicb"):
        converged.studio.change(name, Description="no marker left")

    done = converged.run("--yes")

    assert "converged" in done.stdout
    assert 2 == len(converged.studio.jobs())
    assert metrics == _metrics(converged)
    assert "artifact adopted: " in converged.run("history", "breast-cancer@2026-10").stdout


def _metrics(desk: Any) -> dict[str, dict[str, float]]:
    status = desk.status()
    return {f"{version['model']}@{version['label']}": version["metrics"] for version in status["versions"]}
