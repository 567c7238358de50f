"""The driver of boards: all that reconciler needs to manage another kind of target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from reconciler.azure.errors import NotFound, ServiceError
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.document import Action, Step
from reconciler.plan.states import (
    DesiredTarget,
    LiveBinding,
    LiveTarget,
    Location,
    ModelBinding,
    Problem,
    Proof,
    VersionKey,
)
from reconciler.spec.documents import Metadata
from reconciler.spec.naming import slug
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import Diagnosis, Host, Reach
from reconciler.targets.driver import Artifacts, Driver, Notify, TargetChangedError, TargetError, Verified
from reconciler.targets.inventory import FoundGroup, FoundTarget, Inventory, Scope, Serves, allowed, sayable
from reconciler.targets.ownership import marked_description, markers_for, split_description
from reconciler.targets.settings import Setting, managed
from tests.targets.toy.document import Board, BoardSpec

RESOURCE = "text"
"""The one resource of a board that a model serves."""
SETTINGS = (Setting("brightness", "brightness"),)


class Boards(Driver):
    """The fleet's boards."""

    kind = "Board"
    probes = False

    def __init__(self, clients: Clients, url: str) -> None:
        self._clients = clients
        self._url = url
        self._documents = {f"board/{each.spec.board}": each for each in clients.fleet.of(Board).values()}

    async def prepare(self) -> None:
        """Do nothing: a name is an identity."""

    def desired(self) -> tuple[DesiredTarget, ...]:
        """See `Driver.desired`."""
        return tuple(
            DesiredTarget(
                name=document.name,
                kind=self.kind,
                identity=identity,
                bindings=tuple(
                    ModelBinding(use.resource, VersionKey(use.name, use.version)) for use in document.spec.bindings
                ),
                settings=managed(SETTINGS, document.spec),
                absent=document.spec.state == "absent",
            )
            for identity, document in self._documents.items()
        )

    async def observe(self, recorded: Mapping[str, str]) -> dict[str, LiveTarget]:
        """See `Driver.observe`. One list."""
        del recorded
        if not self._documents:
            return {}
        try:
            boards = await self._boards()
        except ServiceError as error:
            problem = Problem("service-unreadable", str(error))
            return {each: LiveTarget(each, exists=False, problem=problem) for each in self._documents}
        return {each: _live(each, boards.get(each)) for each in self._documents}

    async def _boards(self) -> dict[str, dict[str, Any]]:
        reply = await self._clients.http.request("GET", f"{self._url}/boards", operation="list boards")
        return {f"board/{board['name']}": board for board in reply.expect(list, "list boards") or []}

    async def answers(self, target: DesiredTarget) -> str | None:
        """See `Driver.answers`. Boards show what they serve."""
        del target
        return None

    async def carry_out(self, step: Step, target: DesiredTarget, artifacts: Artifacts) -> None:
        """See `Driver.carry_out`."""
        marker = marked_description("", markers_for(artifacts))
        match step.action:
            case Action.CREATE:
                await self._write("PUT", target, {"label": marked_description("", ())})
            case Action.REPOINT:
                (artifact,) = artifacts.values()
                await self._write("PATCH", target, {"location": artifact.location.uri, "label": marker})
            case Action.SETTINGS:
                await self._write("PATCH", target, {each.field: each.new for each in step.differences})
            case Action.ADOPT:
                await self._write("PATCH", target, {"label": marker})
            case _:
                raise TargetError(f"a board has no step {step.action}")

    async def _write(self, method: str, target: DesiredTarget, body: dict[str, Any] | None) -> None:
        url = f"{self._url}/boards/{target.identity.partition('/')[2]}"
        try:
            # Each of these calls may be sent twice.
            await self._clients.http.request(method, url, operation="write a board", json=body, idempotent=True)
        except ServiceError as error:
            raise TargetError(str(error)) from error

    async def delete(self, target: DesiredTarget) -> None:
        """See `Driver.delete`."""
        board = (await self._boards()).get(target.identity)
        if board is not None:
            if not split_description(board["label"]).managed:
                raise TargetChangedError(f"{target.identity} no longer has the ownership marker")
            await self._write("DELETE", target, None)

    async def verify(self, target: DesiredTarget, artifacts: Artifacts, before: str | None, notify: Notify) -> Verified:
        """See `Driver.verify`."""
        del before, notify
        live = _live(target.identity, (await self._boards()).get(target.identity))
        for resource, artifact in artifacts.items():
            if live.shown(resource).location != artifact.location:
                raise TargetError("the board does not show the new location")
        return Verified(Proof.PROVEN, "the board shows the new location")

    async def diagnose(self, reach: Reach) -> Diagnosis:
        """See `Driver.diagnose`."""
        del reach
        try:
            text, outcome = f"it lists {len(await self._boards())} boards", CheckOutcome.OK
        except (ServiceError, NotFound) as error:
            text, outcome = str(error), CheckOutcome.FAILED
        check = Check(name="boards", subject="board service", outcome=outcome, text=text)
        return Diagnosis((check,), (Host(self._url, "boards"),))

    async def inventory(self, scopes: Sequence[Scope]) -> Inventory:
        """See `Driver.inventory`."""
        del scopes
        found = tuple(
            FoundTarget(
                kind=self.kind,
                title=board["name"],
                name=slug(board["name"], 40, otherwise="board"),
                live=_live(identity, board),
                resources=(RESOURCE,),
                workspace="",
                identities=frozenset({(board["name"],)}),
                document=partial(_document, board),
            )
            for identity, board in sorted((await self._boards()).items())
        )
        group = FoundGroup("boards", "boards", "", "The boards", "boards", found)
        return Inventory(groups=(group,) if found else (), listed=1)


def _live(identity: str, board: dict[str, Any] | None) -> LiveTarget:
    if board is None:
        return LiveTarget(identity, exists=False, fingerprint="absent")
    _, markers, marked = split_description(board["label"])
    base, _, relative = (board["location"] or "").partition("/m/")
    place = Location(base, f"m/{relative}") if relative else None
    return LiveTarget(
        identity,
        exists=True,
        resources=(RESOURCE,),
        bound={} if place is None else {RESOURCE: LiveBinding(place)},
        markers=markers,
        managed=marked,
        settings={each.wire: board[each.field] for each in SETTINGS},
        fingerprint=repr(sorted(board.items())),
    )


def _document(board: dict[str, Any], metadata: Metadata, serves: Serves, comments: list[str]) -> Board | None:
    said, more = sayable({each.field: board[each.field] for each in SETTINGS}, BoardSpec)
    comments += more
    spec = allowed(BoardSpec, board=board["name"], **serves, **said)
    return None if spec is None else Board(metadata=metadata, spec=spec)
