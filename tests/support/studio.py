"""A real Studio in a process beside the tests, and a user's directory in which the real command is run."""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from reconciler.cli.__main__ import main
from reconciler.emulator.config.studio_file import load_studio
from tests.support.studio_host import StudioHost

ROOT = Path(__file__).resolve().parents[2]
PROFILE = os.environ.get("STUDIO_PROFILE", "documented")
# What a test may expect is what the Studio's settings allow; where they differ it looks here.
SETTINGS = load_studio(None, PROFILE).behaviour
SHOWS_LOCATION = SETTINGS.bound_location in {"shown", "copy"}
COMMAND = (sys.executable, "-W", "error", "-m", "reconciler.cli")
WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
LONGEST = 120
LIMITS = ("ThrottleLevel", "MaxConcurrentCalls")
# What a Studio keeps only for the time that it runs, and what it writes anew.
NOT_COPIED = shutil.ignore_patterns("lock", "cloud.json", "emulator.env")


@dataclass
class Studio:
    """A running Studio."""

    url: str
    cloud_file: Path
    env_file: Path
    log: Path
    """Of every Studio that ran beside it as well."""

    def jobs(self) -> list[dict[str, Any]]:
        """Every job that was ever registered."""
        return self.control("jobs")

    def requests(self) -> list[dict[str, Any]]:
        """The requests so far, oldest first; ``kind`` is read, score or write."""
        return self.control("requests")

    def control(self, name: str) -> Any:
        with build_opener(ProxyHandler({})).open(f"{self.url}/_studio/{name}", timeout=LONGEST) as reply:
            body = json.load(reply)
        return body[name] if isinstance(body, dict) and name in body else body

    def tell(self, name: str, **content: Any) -> None:
        """Say something to the control API."""
        request = Request(f"{self.url}/_studio/{name}", data=json.dumps(content).encode(), method="POST")
        build_opener(ProxyHandler({})).open(request, timeout=LONGEST).close()

    def clear_faults(self) -> None:
        """End every fault rule."""
        request = Request(f"{self.url}/_studio/faults", method="DELETE")
        build_opener(ProxyHandler({})).open(request, timeout=LONGEST).close()

    def exchange(self, *, publish: bool = True, **what: str) -> None:
        """Give the workspace another token (``workspaceToken=ID``), or an account another key (``storageKey=NAME``)."""
        self.tell("rotations", publish=publish, **what)

    def asked_of_vaults(self) -> list[tuple[str, int]]:
        """The secrets that were asked for with a token, and how that was answered."""
        requests = [each for each in self.requests() if each["path"].startswith("/secrets/")]
        return [(each["path"].split("/")[2], each["status"]) for each in requests if each["status"] != 401]

    def secrets(self) -> dict[str, str]:
        """The secrets in use, by the name of their variable."""
        lines = (line.partition("=") for line in self.env_file.read_text().splitlines() if "=" in line)
        return {name.removeprefix("export ").strip(): value.strip().strip("'\"") for name, _, value in lines}

    def send(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """One request as a person with the token would send it."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = Request(self.url + path, data=data, headers=headers, method=method)
        for last in (False, True):
            try:
                with build_opener(ProxyHandler({})).open(request, timeout=LONGEST) as reply:
                    text = reply.read()
                break
            except HTTPError as error:
                # The first scoring call after an update may find the containers being initialized.
                if error.code != 503 or last:
                    raise
        return json.loads(text) if text else None

    def token(self) -> str:
        """The workspace's authorization token."""
        return self.secrets()["CONTOSO_WORKSPACE_TOKEN"]

    def path_of(self, endpoint: str) -> str:
        """The management path of a Classic endpoint of the predictive services."""
        services = f"/workspaces/{WORKSPACE}/webservices"
        for service in self.send("GET", services, self.token()):
            names = [each["Name"] for each in self.send("GET", f"{services}/{service['Id']}/endpoints", self.token())]
            if endpoint != "default" and endpoint in names:
                return f"{services}/{service['Id']}/endpoints/{endpoint}"
        raise AssertionError(f"there is no endpoint {endpoint}")

    def endpoint(self, name: str) -> dict[str, Any]:
        """A Classic endpoint as the service shows it."""
        shown: dict[str, Any] = self.send("GET", self.path_of(name), self.token())
        return shown

    def change(self, name: str, **members: Any) -> None:
        """PATCH a Classic endpoint outside reconciler, and wait until the service shows it."""
        path, before = self.path_of(name), self.endpoint(name)
        self.send("PATCH", path, self.token(), members)
        expected = {member: value for member, value in members.items() if member != "Resources"}
        if SETTINGS.limits_patch == "ignored":
            expected = {name: value for name, value in expected.items() if name not in LIMITS}
        moves = "Resources" in members and SHOWS_LOCATION
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            now = self.endpoint(name)
            if expected.items() <= now.items() and not (moves and now["Resources"] == before["Resources"]):
                return
        raise AssertionError(f"the change of {name} was never shown")

    def answers(self, name: str) -> Any:
        """What a Classic endpoint answers to rows that stay the same whatever model it serves."""
        endpoint = self.endpoint(name)
        default = self.send("GET", self.path_of(name).removesuffix(name) + "default", self.token())
        swagger = self.send("GET", f"{default['ApiLocation']}/swagger.json".removeprefix(self.url), "")
        body = swagger["definitions"]["ExecutionRequest"]["example"]
        execute = f"{endpoint['ApiLocation']}/execute?api-version=2.0&format=swagger"
        return self.send("POST", execute.removeprefix(self.url), endpoint["PrimaryKey"], body)

    def resource(self, name: str, blob: str) -> dict[str, Any]:
        """An updatable resource with a location, as a PATCH has it; ``blob`` is ``container/name``."""
        parts = dict(part.split("=", 1) for part in self.secrets()["CONTOSO_STORAGE"].split(";") if part)
        container, _, path = blob.partition("/")
        signature = generate_blob_sas(
            parts["AccountName"],
            container,
            path,
            account_key=parts["AccountKey"],
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        location = {
            "BaseLocation": parts["BlobEndpoint"].rstrip("/") + "/",
            "RelativeLocation": blob,
            "SasBlobToken": f"?{signature}",
        }
        return {"Name": name, "Location": location}

    def sign_in(self, audience: str = "https://management.azure.com/") -> str:
        """A token, for Azure Resource Manager if nothing else is said."""
        cloud = json.loads(self.cloud_file.read_text())
        secrets = self.secrets()
        form = {
            "grant_type": "client_credentials",
            "client_id": secrets["AZURE_CLIENT_ID"],
            "client_secret": secrets["AZURE_CLIENT_SECRET"],
            "scope": audience + ".default",
        }
        # The same endpoint as that of the authority, without TLS.
        url = f"{self.url}/{cloud['signIn']['tenantId']}/oauth2/v2.0/token"
        with build_opener(ProxyHandler({})).open(Request(url, data=urlencode(form).encode()), timeout=LONGEST) as reply:
            token: str = json.load(reply)["access_token"]
        return token


@dataclass
class Desk:
    """A user's directory: the example fleet, a store, a Studio, and the command run in it."""

    home: Path
    studio: Studio
    outputs: list[str] = field(default_factory=list)
    cloud_file: Path | None = None

    @property
    def store(self) -> Path:
        return self.home / ".reconciler" / "state.db"

    def arguments(self, *arguments: str) -> list[str]:
        """A command line with the Studio's cloud file where the command takes one."""
        offline = {"status", "history", "validate", "fmt", "schema"}
        cloud = [] if offline & set(arguments[:1]) else ["--cloud", str(self.cloud_file or self.studio.cloud_file)]
        return [*COMMAND, *arguments, *cloud]

    def reconcile(self, *arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end and expect its exit code."""
        done = subprocess.run(
            self.arguments(*arguments),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,
        )
        self.outputs += [done.stdout, done.stderr]
        assert code == done.returncode, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The same as `reconcile` inside this process, which saves a second: where a process adds nothing."""
        command = self.arguments(*arguments)[len(COMMAND) :]
        out, err, ended = io.StringIO(), io.StringIO(), 0
        before = sys.argv
        with contextlib.chdir(self.home), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            sys.argv = ["reconcile", *command]
            try:
                main()
            except SystemExit as end:
                ended = int(end.code or 0)
            finally:
                sys.argv = before
        done = subprocess.CompletedProcess(["reconcile", *command], ended, out.getvalue(), err.getvalue())
        self.outputs += [done.stdout, done.stderr]
        assert code == ended, f"{arguments}: {ended}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command and leave it running."""
        return subprocess.Popen(
            self.arguments(*arguments),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            **options,
        )

    def edit(self, old: str, new: str, file: str = "endpoints.yaml") -> None:
        """Edit a spec file as a user would."""
        path = self.home / "specs" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def status(self) -> dict[str, Any]:
        """What the store knows, as JSON."""
        known: dict[str, Any] = json.loads(self.run("status", "--output", "json").stdout)
        return known

    def plan(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The plan as JSON."""
        plan: dict[str, Any] = json.loads(self.run("--dry-run", "--output", "json", *arguments, code=code).stdout)
        return plan


@functools.cache
def studio_host() -> StudioHost:
    """The process of this worker's Studios, from the first that is wanted to the end of the tests."""
    directory = Path(tempfile.mkdtemp(prefix="studios-"))
    host = StudioHost(directory / "studios.log")
    atexit.register(shutil.rmtree, directory)
    atexit.register(host.end)
    return host


@contextlib.contextmanager
def running(state: Path, *arguments: str) -> Iterator[Studio]:
    """A Studio on a state directory, closed at the end; see `studio_host` for what it may be told."""
    host = studio_host()
    ready = host.open(state, "--profile", PROFILE, *arguments)
    try:
        yield Studio(ready["url"], Path(ready["cloudFile"]), Path(ready["envFile"]), host.log)
    finally:
        host.close(ready["url"])


@dataclass(frozen=True)
class Kept:
    """A user's directory and the Studio's state after the example fleet converged, to start tests from.

    Locations hold the Studio's port, so it is kept for this process alone: a bound socket that does not listen keeps
    others away, and the Studio, which binds with SO_REUSEADDR, in.
    """

    home: Path
    state: Path
    arguments: tuple[str, ...]
