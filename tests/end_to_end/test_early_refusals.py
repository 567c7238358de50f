"""Each thing that must be refused before anything starts (context 4.7), by the command that would have done it.

Those that can be told from the specs alone are told before anybody is asked; the others by reads alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.studio import NOT_COPIED, ROOT, Desk, Studio, running

_HEAD = "apiVersion: reconciler/v1\nkind: ClassicEndpoint\nmetadata: {name: refused}\nspec:\n  workspace: contoso\n"
_SERVICE = '  webService: "Breast Cancer [predictive exp.]"\n'
_MODEL = '  model: {resource: "Breast Cancer [trained model]", name: breast-cancer, version: "2026-10"}\n'
_ENDPOINT = f"{_HEAD}{_SERVICE}  endpoint: refused\n{_MODEL}"
_READY = """apiVersion: reconciler/v1
kind: Model
metadata: {name: ready}
spec:
  workspace: contoso
  versions:
    "2026-10":
      location:
        baseLocation: https://fabrikam.blob.core.windows.net/
        relativeLocation: models/ready.ilearner
        sasToken: {env: READY_SAS}
"""
_OF_READY = f"{_READY}---\n{_ENDPOINT.replace('name: breast-cancer', 'name: ready')}"
_CLASSIC_TRAINING = 'classic: {webService: "Breast Cancer [training exp.]"}'
_TRAINER = (
    "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/dev"
    "/providers/Microsoft.MachineLearning/webServices/Trainer"
)
_DEV_TEST = """
      - name: dev
        commitmentPlans: [{name: dev, sku: DevTest, used: 0.95}]
        webServices:
          - {name: Trainer, experiment: "Breast Cancer [training exp.]", commitmentPlan: dev}
          - {name: Scorer, experiment: "Breast Cancer [predictive exp.]"}
"""
_TRAINED = """apiVersion: reconciler/v1
kind: Model
metadata: {name: mine}
spec:
  workspace: contoso
  training:
    classic: {webService: "Breast Cancer [training exp.]"}
    inputs: {input1: {file: "data/breast-cancer-{version}.csv"}}
    outputs: {model: output1, evaluation: output2}
"""
_OF_TRAINED = f"{_TRAINED}---\n{_ENDPOINT.replace('name: breast-cancer', 'name: mine')}"
_SET = """apiVersion: reconciler/v1
kind: EndpointSet
metadata: {name: clinics}
spec:
  items: {list: [{name: one}, {name: two}]}
  model:
    workspace: contoso
    versions:
      "2026-10": {location: {baseLocation: "https://a.example/", relativeLocation: models/same.ilearner}}
  endpoint:
    workspace: contoso
    webService: "Breast Cancer [predictive exp.]"
    endpoint: "{name}"
    model: {resource: "Breast Cancer [trained model]", version: "2026-10"}
"""


@dataclass(frozen=True)
class Refused:
    """A document beside the example fleet, or an edit of it, and what is said of it."""

    says: tuple[str, ...]
    document: str = ""
    edit: tuple[str, str, str] | None = None
    code: int = 1
    offline: bool = True
    """Whether the specs alone tell: then nobody is asked."""


CASES = {
    "the default endpoint": Refused(
        ("the endpoint 'default' cannot be a target", "add an endpoint of another name"),
        _ENDPOINT.replace("endpoint: refused", "endpoint: default"),
    ),
    "a training service as the target": Refused(
        ("is a training web service, whose endpoints cannot be targets", "name the predictive web service"),
        _ENDPOINT.replace("[predictive exp.]", "[training exp.]"),
    ),
    "a training service that no spec trains by, as the target": Refused(
        (
            "The target has no updatable resource",
            "Name an endpoint of a predictive service",
        ),
        _ENDPOINT.replace("Breast Cancer [predictive exp.]", "Diabetes by URL [training exp.]"),
        offline=False,
    ),
    # Nobody can ask for training by the Request/Response Service: what is named must have jobs that give a model.
    "a service that scores and does not train, for training": Refused(
        ("Training service New web service Scorer", "does not give a trained model (no output does)"),
        _OF_TRAINED.replace(_CLASSIC_TRAINING, f"new: {{resourceId: {_TRAINER.replace('Trainer', 'Scorer')}}}"),
        offline=False,
    ),
    "an output that is no .ilearner": Refused(
        ('output "output2" does not give a trained model (outputs that do: "output1")', "Correct outputs.model"),
        _OF_TRAINED.replace("outputs: {model: output1, evaluation: output2}", "outputs: {model: output2}"),
        offline=False,
    ),
    "a ready-made artifact that is no .ilearner": Refused(
        ("is not the location of a trained model", "container/path ending in .ilearner"),
        _OF_READY.replace("ready.ilearner", "ready.csv"),
    ),
    "a resource that the endpoint does not have": Refused(
        ('The target has no resource "Brest Cancer". It has "Breast Cancer [trained model]"', "Write model.resource"),
        _ENDPOINT.replace('resource: "Breast Cancer [trained model]"', 'resource: "Brest Cancer"'),
        offline=False,
    ),
    "a name that breaks the pattern": Refused(
        ("is not a valid endpoint name", "1 to 24 digits, lower-case letters and hyphens"),
        _ENDPOINT.replace("endpoint: refused", "endpoint: Clinic_C"),
    ),
    "a name that is too long": Refused(
        ("is not a valid endpoint name", "1 to 24 digits, lower-case letters and hyphens"),
        _ENDPOINT.replace("endpoint: refused", f"endpoint: {'c' * 25}"),
    ),
    "more calls than the throttle level allows": Refused(
        ("is more than throttleLevel Low allows", "1 to 4 with Low, 1 to 200 with High"),
        f"{_ENDPOINT}  throttleLevel: Low\n  maxConcurrentCalls: 5\n",
    ),
    "a description that leaves no room for our note": Refused(
        ("is too long: 1900 characters", "at most 1880 characters"),
        f"{_ENDPOINT}  description: {'d' * 1900}\n",
    ),
    "an input by http": Refused(
        ("uses http:// to another machine", "https://"),
        _OF_TRAINED.replace('{file: "data/breast-cancer-{version}.csv"}', "{url: http://data.example/day.csv}"),
    ),
    "an artifact by http": Refused(
        ("uses http:// to another machine", "https://"),
        _OF_READY.replace("https://fabrikam", "http://fabrikam"),
    ),
    "one output path for two items": Refused(("two items have the same artifact 'models/same.ilearner'",), _SET),
    "a secret that is written out": Refused(
        ("a literal secret", "change it at the service"),
        edit=("token: {env: CONTOSO_WORKSPACE_TOKEN}", "token: hunter2hunter2", "contoso.yaml"),
    ),
    "a signature in a URL": Refused(
        ("a literal secret", "change it at the service: it may have been committed"),
        _OF_READY.replace("windows.net/", "windows.net/?sv=2021-08-06&sig=c2VjcmV0c2VjcmV0"),
    ),
    "more endpoints than a free workspace has": Refused(
        ("2 endpoints of at most 3, and this plan creates 2 more: 1 of them does not fit", "Delete endpoints"),
        "---\n".join(_ENDPOINT.replace("refused", name) for name in ("refused", "refused2")),
        edit=("region: South Central US", "region: South Central US\n  tier: free", "contoso.yaml"),
        offline=False,
    ),
    "the wrong region": Refused(
        ("whose host returned", "The workspace is in South Central US", "Write region: South Central US"),
        _ENDPOINT,
        edit=("region: South Central US", "region: West Europe", "contoso.yaml"),
        offline=False,
    ),
    "a signature that ends before the update may": Refused(
        ("its SAS ends on", "and an update may take 15m00s", "Create a SAS that is valid for longer"),
        _OF_READY,
        code=3,
        offline=False,
    ),
    "jobs that a nearly spent Dev/Test plan would pay for": Refused(
        ("dev (DevTest)", "0.1 of 2 compute hours", "nearly used up", "Wait until it is refilled"),
        _OF_TRAINED.replace(_CLASSIC_TRAINING, f"new: {{resourceId: {_TRAINER}}}"),
        code=3,
        offline=False,
    ),
    "somebody else's endpoint, to be deleted": Refused(
        ("no ownership marker", "Delete it by hand"),
        f'{_HEAD}  webService: "Diabetes [predictive exp.]"\n  endpoint: progress\n  state: absent\n',
        edit=("  endpoint: progress\n", "  endpoint: progress2\n", "endpoints.yaml"),
        code=3,
        offline=False,
    ),
}


@pytest.fixture(scope="module")
def studio_with_dev_test_plan(
    prepared_state: Path, quick_studio: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """A Studio with a New training service that a nearly spent Dev/Test plan pays for; nobody changes it."""
    base = tmp_path_factory.mktemp("refused-early")
    text = quick_studio.read_text()
    assert "\nprincipal:\n" in text
    (base / "studio.yaml").write_text(text.replace("\nprincipal:\n", f"{_DEV_TEST}\nprincipal:\n", 1))
    shutil.copytree(prepared_state, base / "state", ignore=NOT_COPIED)
    with running(base / "state", "--studio", str(base / "studio.yaml")) as studio:
        yield studio


@pytest.fixture
def desk(studio_with_dev_test_plan: Studio, tmp_path: Path) -> Iterator[Desk]:
    """The example fleet beside that Studio, with a cloud file that has a host for each of two regions."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "specs", home / "specs")
    one = Desk(home, studio_with_dev_test_plan)
    _regions(one)
    sent = len(one.studio.requests())
    yield one
    assert "write" not in {request["kind"] for request in one.studio.requests()[sent:]}


def _regions(desk: Desk) -> None:
    """A cloud file with a management host for each of two regions."""
    desk.cloud_file = desk.home / "cloud.json"
    cloud = json.loads(desk.studio.cloud_file.read_text())
    shutil.copy(desk.studio.cloud_file.parent / cloud["caFile"], desk.home)
    shutil.copy(desk.studio.env_file, desk.home / "emulator.env")
    host = cloud.pop("managementUrl")
    regions = {name: f"{host}/regions/{name.replace(' ', '').lower()}" for name in ("South Central US", "West Europe")}
    desk.cloud_file.write_text(json.dumps({**cloud, "regions": regions, "envFile": "emulator.env"}))


@pytest.mark.parametrize("what", CASES)
def test_it_is_refused_before_anything_starts(desk: Desk, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The fixture sees to it that nothing is written to the Studio."""
    case = CASES[what]
    ends = datetime.now(UTC) + timedelta(minutes=8)
    monkeypatch.setenv("READY_SAS", f"?sv=2021-08-06&sr=b&sp=r&se={ends:%Y-%m-%dT%H:%M:%SZ}&sig=topsecret")
    if case.document:
        (desk.home / "specs" / "refused.yaml").write_text(case.document)
    if case.edit is not None:
        desk.edit(*case.edit)
    sent = len(desk.studio.requests())

    done = desk.run("--dry-run", "--select", "refused*", code=case.code)

    told = " ".join((done.stdout + done.stderr).split())
    for words in case.says:
        assert words in told
    assert not {"topsecret", "hunter2", "c2VjcmV0"} & set(told.replace("=", " ").split())
    assert case.offline == (sent == len(desk.studio.requests()))
    assert not desk.store.exists()
