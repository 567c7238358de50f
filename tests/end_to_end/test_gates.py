"""A version that its gates do not let pass moves no target, and everybody can see why."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

STRICT = ("{metric: AUC, min: 0.95}", "{metric: AUC, min: 0.99999}")
OUR_MARKER = "Clinic A [reconciler: breast-cancer@2026-10"


def _held(status: dict[str, Any]) -> dict[str, str]:
    return {target["name"]: target["last_message"] for target in status["targets"] if target["last_outcome"] == "held"}


def test_a_version_below_its_gate_moves_no_target_until_it_is_forced_or_the_gate_is_loosened(converged: Any) -> None:
    """Trained once, judged again at every run, and never trained again."""
    studio = converged.studio
    before = studio.answers("clinica")
    converged.edit(*STRICT, file="models.yaml")
    converged.edit('name: breast-cancer, version: "2026-10"', 'name: breast-cancer, version: "2026-11"')
    converged.edit('version: "2026-10"         ', 'version: "2026-11"         ')

    converged.run("--yes", code=4)

    assert before == studio.answers("clinica") == studio.answers("clinicb")
    assert studio.endpoint("clinica")["Description"].startswith(OUR_MARKER)
    held = _held(converged.status())
    assert {"breast-cancer-new", "clinic-a", "clinic-b"} == held.keys()
    assert all("AUC >= 0.99999" in message and "is below 0.99999" in message for message in held.values())
    shown = converged.run("status", "clinic-a").stdout
    assert "held" in shown
    assert "AUC >= 0.99999" in shown
    history = converged.run("history", "clinic-a").stdout.splitlines()[0]
    assert "held" in history
    assert "is below 0.99999" in history
    assert 3 == len(studio.jobs())

    assert "Held: 1 in sync, 3 held" in converged.run("--yes", code=4).stdout
    history = converged.run("history").stdout
    converged.run("--yes", code=4)
    assert history == converged.run("history").stdout, "when nothing happens, nothing is written down"
    assert 3 == len(studio.jobs())
    converged.run("--dry-run", "--detailed-exitcode", code=4)

    converged.run("--yes", "--force", "gate:clinic-a", code=4)
    assert before != studio.answers("clinica")
    assert before == studio.answers("clinicb")
    assert {"breast-cancer-new", "clinic-b"} == _held(converged.status()).keys()

    converged.edit(*reversed(STRICT), file="models.yaml")
    converged.run("--yes")
    assert studio.answers("clinica") == studio.answers("clinicb")
    assert {} == _held(converged.status())
    assert 3 == len(studio.jobs())


def test_a_metric_that_the_evaluation_does_not_have_holds_the_target_as_inconclusive(converged: Any) -> None:
    gate = "{metric: Coefficient of Determination, min: 0.3}"
    converged.edit(gate, "{metric: Sharpness, min: 0.3}", file="models.yaml")
    converged.edit('name: diabetes, version: "2026-10"', 'name: diabetes, version: "2026-11"')

    converged.run("--yes", code=4)

    (held,) = converged.plan("--detailed-exitcode", code=4)["held"]
    assert [("inconclusive", "Sharpness >= 0.3")] == [(each["outcome"], each["rule"]) for each in held["gates"]]
    assert "Coefficient of Determination" in held["gates"][0]["text"], "what there is, is named"
    assert "Sharpness is missing" in _held(converged.status())["diabetes-progress"]
    assert "diabetes@2026-10" in converged.studio.endpoint("progress")["Description"]


def test_a_version_that_drops_too_far_below_the_live_one_is_held(converged: Any) -> None:
    """The rule has no number of its own: it compares with the metrics of what is live."""
    data = converged.home / "specs" / "data"
    _spoil(data / "breast-cancer-2026-11.csv", data / "breast-cancer-2026-12.csv")
    converged.edit("{metric: AUC, min: 0.95}", "{metric: AUC, min: 0.1}", file="models.yaml")
    converged.edit('version: "2026-10"         ', 'version: "2026-12"         ')

    converged.run("--yes", "--select", "clinic-a", code=4)

    known = converged.run("status", "breast-cancer", "--output", "json").stdout
    metrics = {version["label"]: version["metrics"]["AUC"] for version in json.loads(known)["versions"]}
    (held,) = converged.plan("--select", "clinic-a")["held"]
    assert ["pass", "fail"] == [each["outcome"] for each in held["gates"]]
    assert (metrics["2026-12"], metrics["2026-10"]) == (held["gates"][1]["value"], held["gates"][1]["incumbent"])
    assert "(breast-cancer@2026-10)" in _held(converged.status())["clinic-a"]
    assert converged.studio.endpoint("clinica")["Description"].startswith(OUR_MARKER)


def _spoil(source: Path, target: Path) -> None:
    """Every third row says the opposite of what is true."""
    with source.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    label = header.index("diagnosis")
    one, other = sorted({row[label] for row in rows})
    for row in rows[::3]:
        row[label] = other if row[label] == one else one
    with target.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def test_a_rule_that_does_not_exist_is_refused_and_the_nearest_is_named(converged: Any) -> None:
    sent = len(converged.studio.requests())

    misspelt = converged.run("--yes", "--force", "gate:clinic-x", code=1)
    unknown = converged.run("--yes", "--force", "gates", code=1)

    assert 'Did you mean "gate:clinic-' in misspelt.stderr
    assert '"gate"' in unknown.stderr
    assert "write" not in {request["kind"] for request in converged.studio.requests()[sent:]}
