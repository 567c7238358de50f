"""Another kind of target takes a document, a driver and one entry of the list of kinds, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from reconciler.targets import kinds
from tests.support.studio import Desk
from tests.targets.toy.document import Board
from tests.targets.toy.driver import RESOURCE, Boards
from tests.targets.toy.service import BoardService, serving

PLACE = "https://elsewhere.blob.core.windows.net/"
MODEL = f"""
apiVersion: reconciler/v1
kind: Model
metadata: {{name: slogans}}
spec:
  workspace: contoso
  versions:
    "1": {{location: {{baseLocation: "{PLACE}", relativeLocation: m/slogans/1.ilearner}}}}
    "2": {{location: {{baseLocation: "{PLACE}", relativeLocation: m/slogans/2.ilearner}}}}
"""
BOARD = """
apiVersion: reconciler/v1
kind: Board
metadata: {{name: lobby}}
spec: {{board: Lobby, brightness: {brightness}, model: {{resource: {resource}, name: slogans, version: "{version}"}}}}
"""


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> Iterator[BoardService]:
    """A running service of boards, and the kind in the list."""
    with serving() as service:
        kind = kinds.Kind(Board, lambda clients: Boards(clients, service.url))
        monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, kind))
        yield service


@pytest.fixture
def lobby(desk: Desk, boards: BoardService) -> Desk:
    """A fleet with one board."""
    (desk.home / "specs" / "endpoints.yaml").unlink()
    (desk.home / "specs" / "slogans.yaml").write_text(MODEL)
    write(desk)
    return desk


def write(desk: Desk, *, version: str = "1", brightness: int = 80) -> None:
    text = BOARD.format(version=version, brightness=brightness, resource=RESOURCE)
    (desk.home / "specs" / "board.yaml").write_text(text)


def test_it_is_validated(lobby: Desk) -> None:
    assert "1 target " in lobby.run("validate").stdout
    write(lobby, brightness=300)
    assert "board.yaml:5" in lobby.run("validate", code=1).stderr
    assert "Board" in json.loads(lobby.run("schema").stdout)["properties"]["kind"]["enum"]


def test_it_is_planned_created_and_pointed_to_its_version(lobby: Desk, boards: BoardService) -> None:
    (target,) = lobby.plan()["changes"]
    assert ("lobby", "Board") == (target["name"], target["kind"])
    assert 0 == boards.writes

    lobby.run("--yes")

    assert f"{PLACE}m/slogans/1.ilearner" == boards.boards["Lobby"]["location"]
    assert 80 == boards.boards["Lobby"]["brightness"]
    lobby.run("--dry-run", "--detailed-exitcode")
    (shown,) = json.loads(lobby.run("status", "--output", "json").stdout)["targets"]
    assert ("lobby", "Board", "converged") == (shown["name"], shown["kind"], shown["last_outcome"])


def test_a_version_bump_moves_it_and_drift_is_undone(lobby: Desk, boards: BoardService) -> None:
    lobby.run("--yes")
    write(lobby, version="2")
    lobby.run("--yes")
    assert f"{PLACE}m/slogans/2.ilearner" == boards.boards["Lobby"]["location"]

    boards.boards["Lobby"] |= {"location": f"{PLACE}m/slogans/1.ilearner", "brightness": 1}
    (target,) = lobby.plan()["drift"]
    assert "lobby" == target["name"]
    lobby.run("--yes")
    assert f"{PLACE}m/slogans/2.ilearner" == boards.boards["Lobby"]["location"]
    assert 80 == boards.boards["Lobby"]["brightness"]


def test_it_is_deleted_when_its_spec_says_so(lobby: Desk, boards: BoardService) -> None:
    lobby.run("--yes")
    file = lobby.home / "specs" / "board.yaml"
    file.write_text(file.read_text().replace("{board: Lobby,", "{state: absent, board: Lobby,"))
    lobby.run("--yes")
    assert {} == boards.boards


def test_doctor_looks_at_its_service(lobby: Desk, boards: BoardService) -> None:
    told = lobby.run("doctor").stdout
    assert "it lists 0 boards" in told
    assert f"{boards.url}" in told


def test_it_is_imported(lobby: Desk, boards: BoardService) -> None:
    boards.boards["Lobby"] = {"name": "Lobby", "location": None, "brightness": 30, "label": ""}
    (lobby.home / "specs" / "board.yaml").unlink()
    done = lobby.run("import", "--workspace", "contoso", "--out", "imported")
    assert "1 Board" in done.stdout
    text = (lobby.home / "imported" / "boards.yaml").read_text()
    assert "kind: Board" in text
    assert "brightness: 30" in text
