"""What outlives a pass: connections, sign-in, secrets and training services; what is live is asked in each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.azure.clouds import Cloud
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import MissingSecret, SecretResolver
from reconciler.targets.clients import KEPT_FOR, Clients
from tests.support.fleets import load_fleet
from tests.support.peer import Peer, serving

ID = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
LIST = f"/workspaces/{ID}/webservices"
WORKSPACE = f"""
apiVersion: reconciler/v1
kind: Workspace
metadata: {{name: contoso}}
spec:
  id: {ID}
  region: South Central US
  token: {{file: token.txt}}
  storage: {{connectionString: {{env: STORAGE}}, container: models}}
"""


class Clock:
    now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with serving() as made:
        made.on("GET", LIST, made.says([]))
        yield made


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    (tmp_path / "specs.yaml").write_text(WORKSPACE)
    (tmp_path / "token.txt").write_text("one")
    return load_fleet([tmp_path])


@asynccontextmanager
async def opened(fleet: Fleet, peer: Peer, clock: Clock) -> AsyncIterator[Clients]:
    cloud = Cloud("local", peer.url, "https://a/", management_base=peer.url, allow_http=True)
    async with Clients(fleet, cloud, SecretResolver({"STORAGE": "x"}), clock=clock) as clients:
        yield clients


def tokens(peer: Peer) -> list[str]:
    return [seen.headers["authorization"] for seen in peer.seen_of("GET", LIST)]


async def test_a_later_pass_asks_again_over_the_same_connection(fleet: Fleet, peer: Peer, clock: Clock) -> None:
    async with opened(fleet, peer, clock) as first:
        await first.web_services("contoso")
        await first.web_services("contoso")
        later = await first.next_pass(fleet)
        await later.web_services("contoso")

    assert 2 == len(peer.seen_of("GET", LIST))
    assert 1 == len(peer.connections)


async def test_a_secret_is_kept_for_a_while_and_then_looked_up_again(
    fleet: Fleet, peer: Peer, clock: Clock, tmp_path: Path
) -> None:
    async with opened(fleet, peer, clock) as first:
        await first.web_services("contoso")
        (tmp_path / "token.txt").write_text("two")
        await (await first.next_pass(fleet)).web_services("contoso")
        clock.now += KEPT_FOR
        await (await first.next_pass(fleet)).web_services("contoso")

    assert ["Bearer one", "Bearer one", "Bearer two"] == tokens(peer)


async def test_a_secret_that_could_not_be_had_is_looked_up_again_in_the_next_pass(
    fleet: Fleet, peer: Peer, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "token.txt").unlink()
    async with opened(fleet, peer, clock) as first:
        with pytest.raises(MissingSecret):
            await first.web_services("contoso")
        (tmp_path / "token.txt").write_text("two")
        await (await first.next_pass(fleet)).web_services("contoso")

    assert ["Bearer two"] == tokens(peer)


async def test_a_document_that_changed_gets_a_client_of_its_own(
    fleet: Fleet, peer: Peer, clock: Clock, tmp_path: Path
) -> None:
    async with opened(fleet, peer, clock) as first:
        await first.web_services("contoso")
        (tmp_path / "other.txt").write_text("other")
        (tmp_path / "specs.yaml").write_text(WORKSPACE.replace("token.txt", "other.txt"))
        await (await first.next_pass(load_fleet([tmp_path]))).web_services("contoso")

    assert ["Bearer one", "Bearer other"] == tokens(peer)


async def test_what_lasts_is_asked_once_until_it_expires_and_an_error_does_not_last(
    fleet: Fleet, peer: Peer, clock: Clock
) -> None:
    asked = []

    async def ask() -> int:
        asked.append(clock.now)
        if len(asked) == 1:
            raise KeyError("the first time")
        return len(asked)

    async with opened(fleet, peer, clock) as first:
        with pytest.raises(KeyError):
            await first.cached("key", ask, lasting=True)
        found = [await (await first.next_pass(fleet)).cached("key", ask, lasting=True) for _ in range(2)]
        clock.now += KEPT_FOR
        found.append(await (await first.next_pass(fleet)).cached("key", ask, lasting=True))

    assert [2, 2, 3] == found
