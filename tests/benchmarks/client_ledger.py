"""Writes the store that a client has which brought a whole `client_world.World` to where it is.

python tests/benchmarks/client_ledger.py STORE SERVICES ENDPOINTS NEW
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reconciler.store import ServedModel, Store, TargetRecord, this_process
from tests.benchmarks.client_world import OLD, RESOURCE, WORKSPACE, World, artifact, fingerprint

_WHEN = datetime(2026, 9, 1, tzinfo=UTC)


def fill(store: Path, world: World) -> None:
    """Records every target as converged to the old version."""
    with Store.open(store, clock=lambda: datetime.now(UTC)) as opened:
        lease = opened.acquire("benchmark", this_process("benchmark"))
        with opened.fenced(lease) as transaction:
            for name, kind, identity in _targets(world):
                transaction.put_target(_record(name, kind, identity))
        opened.release(lease)


def _targets(world: World) -> Iterator[tuple[str, str, str]]:
    for service in range(world.services):
        for endpoint in range(world.endpoints):
            identity = f"{WORKSPACE}/{world.service(service)[0]}/{world.endpoint(endpoint)}"
            yield f"rental-{service:04}-{endpoint:05}", "ClassicEndpoint", identity
    for number in range(world.new):
        yield f"rental-new-{number:04}", "NewWebService", world.resource_id(number).lower()


def _record(name: str, kind: str, identity: str) -> TargetRecord:
    base, relative = artifact(OLD)
    model = ServedModel(
        resource=RESOURCE,
        model="bike-rental",
        label=OLD,
        fingerprint=fingerprint(OLD),
        base_location=base,
        relative_location=relative,
    )
    return TargetRecord(
        identity=identity,
        name=name,
        kind=kind,
        models=(model,),
        proof="proven",
        converged_at=_WHEN,
        last_outcome="converged",
        last_message="the answers to the probe changed",
        last_at=_WHEN,
    )


if __name__ == "__main__":
    fill(Path(sys.argv[1]), World(*map(int, sys.argv[2:5])))
