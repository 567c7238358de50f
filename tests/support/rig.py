"""A user's directory whose command reaches the emulator through a proxy.

The model and the Classic endpoints are named after the test, so that tests keep out of each other's way. Only the New
web service exists once.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.store import Store
from tests.support.proxy import Proxy
from tests.support.studio import LONGEST, ROOT, Desk

NEW_SERVICE = (
    "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml"
    "/providers/Microsoft.MachineLearning/webServices/BreastCancer"
)
LABEL = "2026-10"
_MODEL = """
apiVersion: reconciler/v1
kind: Model
metadata: {{name: {model}}}
spec:
  workspace: contoso
  training:
    classic: {{webService: "Breast Cancer [training exp.]"}}
    inputs: {{input1: {{file: "breast-cancer-{{version}}.csv"}}}}
    outputs: {{model: output1, evaluation: output2}}
    timeout: {timeout}
"""
_CLASSIC = """
---
apiVersion: reconciler/v1
kind: ClassicEndpoint
metadata: {{name: {name}}}
spec:
  workspace: contoso
  webService: "Breast Cancer [predictive exp.]"
  endpoint: {name}
  model: {{resource: "Breast Cancer [trained model]", name: {model}, version: "{label}"}}
"""
_NEW = """
---
apiVersion: reconciler/v1
kind: NewWebService
metadata: {{name: {name}}}
spec:
  resourceId: {resource}
  model: {{resource: "Breast Cancer [trained model]", name: {model}, version: "{label}"}}
"""


@dataclass
class Rig(Desk):
    """A user's directory whose command reaches the Studio through a proxy."""

    proxy: Proxy = field(kw_only=True)
    name: str = field(kw_only=True)
    killed: set[int] = field(default_factory=set)

    @property
    def model(self) -> str:
        return f"model-{self.name}"

    @property
    def version(self) -> str:
        return f"{self.model}@{LABEL}"

    def endpoint_name(self, letter: str) -> str:
        return f"e{self.name}{letter}"

    def write(self, *letters: str, new: bool = False, timeout: str = "30m") -> None:
        """Write the specs: Classic endpoints by letters, and the New web service if asked for."""
        specs = self.home / "specs"
        specs.mkdir(parents=True, exist_ok=True)
        for file in ("contoso.yaml", f"data/breast-cancer-{LABEL}.csv"):
            shutil.copy(ROOT / "specs" / file, specs)
        text = _MODEL.format(model=self.model, timeout=timeout)
        for letter in letters:
            text += _CLASSIC.format(name=self.endpoint_name(letter), model=self.model, label=LABEL)
        if new:
            text += _NEW.format(name=f"new-{self.name}", resource=NEW_SERVICE, model=self.model, label=LABEL)
        (specs / "fleet.yaml").write_text(text)

    # -- the command

    def begin(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start converging and leave it running."""
        return self.start("--yes", *arguments, **options)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """``kill -9``, and see that nothing but the kill ended it."""
        process.kill()
        self._gather(process)
        self.killed.add(process.pid)
        assert -9 == process.returncode

    def end(self, process: subprocess.Popen[str], code: int) -> tuple[str, str]:
        """What a started command printed when it has ended with this code."""
        out, err = self._gather(process)
        assert code == process.returncode, f"{process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return out, err

    def _gather(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        out, err = process.communicate(timeout=LONGEST)
        self.outputs += [out, err]
        return out, err

    # -- what there is

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs of this test's model, in the order of their registration."""
        inside = f"/{self.model}/"
        return [job for job in self.studio.jobs() if any(inside in place for place in job["outputs"].values())]

    def started(self) -> list[dict[str, Any]]:
        """Those of them that were ever started."""
        return [job for job in self.jobs() if job["queuedAt"] is not None]

    def open_store(self) -> Store:
        """The store as it is now, to read."""
        return Store.open(self.store, clock=lambda: datetime.now(UTC), read_only=True)

    def holders(self) -> set[int]:
        """The processes that have a lease."""
        with self.open_store() as store:
            return {lease.holder.pid for lease in store.leases()}

    def assert_home(self) -> None:
        """All targets serve the version, by the store and by the service, it was trained once, and nothing is held."""
        with self.open_store() as store:
            targets = store.targets()
            assert {"converged"} == {target.last_outcome for target in targets}
            served = {f"{model.model}@{model.label}" for target in targets for model in target.models}
            assert {self.version} == served
            assert {"usable"} == {version.state for version in store.versions()}
            assert () == store.operations(open_only=True)
            # One that was killed right after its last write leaves its lease behind, which is taken over when wanted.
            assert {lease.holder.pid for lease in store.leases()} <= self.killed
            classic = [target.name for target in targets if target.kind == "ClassicEndpoint"]
        for name in classic:
            assert f"[reconciler: {self.version} " in self.studio.endpoint(name)["Description"]
        assert ["Finished"] == [job["state"] for job in self.started()]


def still_running(status: dict[str, Any]) -> dict[str, Any]:
    """A job's status as if it ran on, however quick it was."""
    return {"StatusCode": "Running"} if status.get("StatusCode") in {"Finished", 4, "4"} else status
