"""Every way to train, by the whole program: by a New service, and by data behind a parameter's URL (context 4.5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from tests.support.studio import LONGEST

GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml"
TRAINER = f"{GROUP}/providers/Microsoft.MachineLearning/webServices/BreastCancerTraining"

MODELS = """
apiVersion: reconciler/v1
kind: Model
metadata: {{name: breast-cancer}}
spec:
  workspace: contoso
  training:
    new: {{resourceId: {trainer}}}
    pool: pool-7
    inputs:
      input1: {{file: "data/{{version}}/*.csv"}}
    outputs: {{model: output1, evaluation: output2}}
---
apiVersion: reconciler/v1
kind: Model
metadata: {{name: by-blob}}
spec:
  workspace: contoso
  training:
    classic: {{webService: "Diabetes by URL [training exp.]"}}
    parameters: {{URI: {{blob: "datasets/diabetes-{{version}}.csv"}}}}
    outputs: {{model: output1, evaluation: output2}}
---
apiVersion: reconciler/v1
kind: Model
metadata: {{name: by-file}}
spec:
  workspace: contoso
  training:
    classic: {{webService: "Diabetes by URL [training exp.]"}}
    parameters: {{URI: {{file: "data/diabetes-{{version}}.csv"}}}}
    outputs: {{model: output1, evaluation: output2}}
---
apiVersion: reconciler/v1
kind: Model
metadata: {{name: by-url}}
spec:
  workspace: contoso
  training:
    classic: {{webService: "Diabetes by URL [training exp.]"}}
    parameters: {{URI: {{url: "{url}/diabetes-{{version}}.csv"}}}}
    outputs: {{model: output1, evaluation: output2}}
"""

ENDPOINT = """
---
apiVersion: reconciler/v1
kind: ClassicEndpoint
metadata: {{name: {name}}}
spec:
  workspace: contoso
  webService: "{service} [predictive exp.]"
  endpoint: {endpoint}
  model: {{resource: "{service} [trained model]", name: {name}, version: "2026-11"}}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def data(untouched_studio: Any, tmp_path: Path) -> Path:
    """The diabetes data of November as a local file."""
    with BlobServiceClient.from_connection_string(untouched_studio.secrets()["CONTOSO_STORAGE"]) as account:
        content = account.get_blob_client("datasets", "diabetes-2026-11.csv").download_blob().readall()
    path = tmp_path / "served" / "diabetes-2026-11.csv"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


@pytest.fixture
def served(data: Path) -> Iterator[str]:
    """The URL of a server that has the file, with Last-Modified and no ETag."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(data.parent))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _write(desk: Any, data: Path, url: str) -> None:
    specs = desk.home / "specs"
    (specs / "models.yaml").write_text(MODELS.format(trainer=TRAINER, url=url))
    targets = (("breast-cancer", "Breast Cancer", "clinica"), ("by-blob", "Diabetes", "progress"))
    more = (("by-file", "Diabetes", "byfile"), ("by-url", "Diabetes", "byurl"))
    endpoints = (ENDPOINT.format(name=name, service=service, endpoint=to) for name, service, to in targets + more)
    (specs / "endpoints.yaml").write_text("".join(endpoints))
    header, *rows = (specs / "data" / "breast-cancer-2026-11.csv").read_text().splitlines(keepends=True)
    parts = specs / "data" / "2026-11"
    parts.mkdir(exist_ok=True)
    for number, begin in enumerate(range(0, len(rows), 200)):
        (parts / f"part-{number}.csv").write_text("".join([header, *rows[begin : begin + 200]]))
    (specs / "data" / data.name).write_bytes(data.read_bytes())


def test_models_train_by_a_new_service_and_by_data_behind_a_parameter(fresh: Any, data: Path, served: str) -> None:
    _write(fresh, data, served)
    before = {name: fresh.studio.answers(name) for name in ("clinica", "progress")}

    done = fresh.reconcile("--yes")

    assert "Done: 4 converged" in done.stdout
    jobs = fresh.studio.jobs()
    assert {("BreastCancerTraining", "pool-7"), ("Diabetes by URL [training exp.]", None)} == {
        (job["service"], job["pool"]) for job in jobs
    }
    assert ["Finished"] * 4 == [job["state"] for job in jobs]
    for name, earlier in before.items():
        assert earlier != fresh.studio.answers(name)
    # The same rows by three ways give the same model.
    assert fresh.studio.answers("progress") == fresh.studio.answers("byfile") == fresh.studio.answers("byurl")
    assert "file data/2026-11/*.csv (3 files, " in done.stdout
    assert "URI (parameter)" in done.stdout
    assert "breast-cancer@2026-11: wait: uploaded data/2026-11/*.csv" in done.stderr
    versions = {version["model"]: version for version in fresh.status()["versions"]}
    assert versions["breast-cancer"]["metrics"]["AUC"] > 0.95
    for output in (*fresh.outputs, str(versions)):
        assert "sig=" not in output

    sent = len(fresh.studio.requests())
    again = fresh.reconcile("--yes")
    assert "in sync: 4 targets" in again.stdout
    assert "write" not in {request["kind"] for request in fresh.studio.requests()[sent:]}


def test_names_that_a_service_does_not_know_are_told_before_anything_is_sent(
    bystander: Any, data: Path, served: str
) -> None:
    _write(bystander, data, served)
    bystander.edit("input1: {file", "Input1: {file", file="models.yaml")
    bystander.edit('URI: {blob: "', 'URL: {blob: "', file="models.yaml")
    models = bystander.home / "specs" / "models.yaml"
    start, by_file, rest = models.read_text().partition("name: by-file")
    models.write_text(start + by_file + rest.replace("evaluation: output2", "evaluation: metrics", 1))
    sent = len(bystander.studio.requests())

    blocked = {target["name"]: target for target in bystander.plan(code=1)["blocked"]}

    def told(name: str) -> str:
        return f"{blocked[name]['reasons'][0]['text']} -> {blocked[name]['remedy']}"

    assert 'New web service BreastCancerTraining, on pool pool-7: unknown input "Input1"' in told("breast-cancer")
    assert told("breast-cancer").endswith('(the service has "input1") -> Did you mean "input1"?')
    assert 'unknown parameter "URL" (the service has "URI") -> Did you mean "URI"?' in told("by-blob")
    assert 'unknown output "metrics" (the service has "output1", "output2")' in told("by-file")
    assert {"breast-cancer", "by-blob", "by-file"} == set(blocked)
    asked = [each["path"] for each in bystander.studio.requests()[sent:] if "swagger.json" in each["path"]]
    trainers = [path for path in asked if asked.count(path) > 1]
    assert [] == trainers, "each training service is asked once"


def test_data_of_a_file_that_lack_a_column_or_differ_in_it_are_told_before_anything_is_sent(
    bystander: Any, data: Path, served: str
) -> None:
    _write(bystander, data, served)
    parts = sorted((bystander.home / "specs" / "data" / "2026-11").iterdir())
    parts[1].write_text(parts[1].read_text().replace("diagnosis", "verdict", 1))
    (differ,) = bystander.plan("--select", "breast-cancer", code=1)["blocked"]
    for part in (parts[0], parts[2]):
        part.write_text(part.read_text().replace("diagnosis", "verdict", 1))
    (lack,) = bystander.plan("--select", "breast-cancer", code=1)["blocked"]

    assert 'part-1.csv lacks "diagnosis" and also has "verdict"' in differ["reasons"][0]["text"]
    assert 'input "input1" is missing column "diagnosis"' in lack["reasons"][0]["text"]


def test_data_that_change_while_a_job_runs_are_noticed(fresh: Any, data: Path, served: str) -> None:
    """What a service fetches itself is looked at once more after the job: a fingerprint must mean something."""
    _write(fresh, data, served)
    fresh.studio.send("POST", "/_studio/faults", "", {"rules": [{"job": {"hang": True}}]})
    run = fresh.start("--yes", "--select", "by-url")
    while " is running" not in run.stderr.readline():
        assert run.poll() is None
    data.write_bytes(data.read_bytes()[:-40])
    fresh.studio.send("DELETE", "/_studio/faults", "")
    out, err = run.communicate(timeout=LONGEST)

    assert run.returncode == 1, out + err
    assert "changed while job" in out
    assert "plan again" in out
    assert "Done: 1 converged" in fresh.run("--yes", "--select", "by-url").stdout
    assert 2 == len(fresh.studio.jobs())
