"""New web services by the whole program: exported, deleted, created again, rotated, copied, and kept as a file says."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError

import pytest

GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml/providers"
SERVICES = f"{GROUP}/Microsoft.MachineLearning/webServices"
PLANS = f"{GROUP}/Microsoft.MachineLearning/commitmentPlans"
VERSION, PLAN_VERSION = "?api-version=2017-01-01", "?api-version=2016-05-01-preview"
MODEL = '  model: {resource: "Breast Cancer [trained model]", name: breast-cancer, version: "2026-10"}\n'
SETTINGS = "  settings: {maxConcurrentCalls: 20, diagnostics: Error}\n"
ORIGIN = f"""\
  definition: {{file: ../breast-cancer.json}}
  storage: {{account: contosostore, key: {{file: ../storage.key}}}}
  commitmentPlan: {PLANS}/contoso-plan
"""


def predictions(desk: Any, name: str) -> Any:
    """What a New service answers to the rows of its own example."""
    token = desk.studio.sign_in()
    shown = desk.studio.send("GET", f"{SERVICES}/{name}{VERSION}", token)
    key = desk.studio.send("GET", f"{SERVICES}/{name}/listKeys{VERSION}", token)["primary"]
    swagger = shown["properties"]["swaggerLocation"].removeprefix(desk.studio.url)
    body = desk.studio.send("GET", swagger, "")["definitions"]["ExecutionRequest"]["example"]
    base = swagger.removesuffix("/swagger.json")
    return desk.studio.send("POST", f"{base}/execute?api-version=2.0&format=swagger", key, body)["Results"]


@pytest.fixture
def desk(converged: Any) -> Any:
    """The example fleet, converged, and the storage account's key in a file."""
    parts = dict(part.split("=", 1) for part in converged.studio.secrets()["CONTOSO_STORAGE"].split(";") if part)
    (converged.home / "storage.key").write_text(parts["AccountKey"])
    # In a file of its own its text stands once.
    path = converged.home / "specs" / "endpoints.yaml"
    *others, service = path.read_text().split("---\n")
    path.write_text("---\n".join(others))
    (converged.home / "specs" / "services.yaml").write_text(service)
    return converged


def test_a_service_exported_deleted_and_created_again_answers_as_before_and_its_key_is_rotated(desk: Any) -> None:
    before = predictions(desk, "BreastCancer")
    desk.run("export", "breast-cancer-new", "--out", "breast-cancer.json")
    exported = (desk.home / "breast-cancer.json").read_text()
    assert not any(secret in exported for secret in desk.studio.secrets().values())

    desk.edit(SETTINGS + MODEL, "  state: absent\n", "services.yaml")
    assert "- breast-cancer-new" in desk.run("--dry-run").stdout
    desk.run("--yes")
    with pytest.raises(HTTPError, match="404"):
        predictions(desk, "BreastCancer")

    desk.edit("  state: absent\n", SETTINGS + MODEL + ORIGIN, "services.yaml")
    assert "+ breast-cancer-new" in desk.run("--dry-run").stdout
    desk.run("--yes")
    assert before == predictions(desk, "BreastCancer")
    assert "in sync: 4 targets" in desk.run("--dry-run", "--detailed-exitcode").stdout

    rotated = "r0tated-" * 5
    (desk.home / "primary.key").write_text(rotated)
    desk.edit(SETTINGS, f"{SETTINGS}  keys: {{primary: {{file: ../primary.key}}}}\n", "services.yaml")
    assert 'keys.primary: "another" → "as referenced"' in desk.run("--dry-run").stdout
    desk.run("--yes")
    keys = desk.studio.send("GET", f"{SERVICES}/BreastCancer/listKeys{VERSION}", desk.studio.sign_in())
    assert rotated == keys["primary"]
    assert not any(rotated in output for output in desk.outputs)
    assert rotated.encode() not in desk.store.read_bytes()


def test_a_service_is_copied_to_another_region_and_kept_as_a_file_says_but_for_what_is_ignored(desk: Any) -> None:
    token = desk.studio.sign_in()
    plan = {"location": "West Europe", "sku": {"name": "S1", "tier": "Standard", "capacity": 1}}
    desk.studio.send("PUT", f"{PLANS}/abroad{PLAN_VERSION}", token, plan)
    (desk.home / "specs" / "abroad.yaml").write_text(f"""\
apiVersion: reconciler/v1
kind: NewWebService
metadata: {{name: breast-cancer-abroad}}
spec:
  resourceId: {SERVICES}/BreastCancerAbroad
  copyOf: breast-cancer-new
  location: West Europe
  storage: {{account: contosostore, key: {{file: ../storage.key}}}}
  commitmentPlan: {PLANS}/abroad
{MODEL}""")
    desk.run("--yes")
    shown = desk.studio.send("GET", f"{SERVICES}/BreastCancerAbroad{VERSION}", token)
    assert "West Europe" == shown["location"]
    assert predictions(desk, "BreastCancer") == predictions(desk, "BreastCancerAbroad")

    desk.run("export", f"{SERVICES}/BreastCancer", "--out", "breast-cancer.json")
    ignored = f"{SETTINGS}{MODEL}  definition: {{file: ../breast-cancer.json}}\n  ignore: [/properties/title]\n"
    desk.edit(SETTINGS + MODEL, ignored, "services.yaml")
    assert "in sync: 5 targets" in desk.run("--dry-run").stdout
    content = json.loads((desk.home / "breast-cancer.json").read_text())
    content["properties"] |= {"title": "Another title", "description": "Another description"}
    (desk.home / "breast-cancer.json").write_text(json.dumps(content))

    told = desk.run("--dry-run").stdout
    desk.run("--yes")

    assert 'to "Another description"' in " ".join(told.split())
    assert "Another title" not in told
    shown = desk.studio.send("GET", f"{SERVICES}/BreastCancer{VERSION}", token)
    assert "Another description" == shown["properties"]["description"]
    assert "Another title" != shown["properties"]["title"]
