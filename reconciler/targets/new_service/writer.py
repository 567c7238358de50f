"""Writes to one New web service, each safe to be done again: a run may be killed between any two lines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from pydantic import SecretStr

from reconciler.azure.arm.definition import member
from reconciler.azure.arm.web_service_writes import ServiceWrites
from reconciler.azure.errors import Conflict, LostReply, NotFound
from reconciler.azure.storage.account import connection_string_of
from reconciler.plan.document import PatchOperation, Step
from reconciler.plan.states import DesiredTarget, LiveTarget, Marker, Scalar
from reconciler.plan.steps import definition_changes
from reconciler.spec.documents import NewWebService
from reconciler.targets.clients import Clients
from reconciler.targets.driver import Artifacts, TargetChangedError, TargetError
from reconciler.targets.new_service.bodies import (
    is_repointed,
    patched_definition,
    removes_something,
    repoint_body,
    settings_body,
    touched_members,
)
from reconciler.targets.new_service.commitment_plans import Commitments
from reconciler.targets.new_service.definition.diff import HANDED_OVER, SERVER_SET
from reconciler.targets.new_service.definition.file import set_member, with_placeholders
from reconciler.targets.new_service.definition.form import PREVIEW, Definition, current_form, preview_form, walk
from reconciler.targets.new_service.payloads import HandedOver, is_in_blob, is_too_large, payload_of
from reconciler.targets.new_service.source import ResolvedDocument, ServiceSources
from reconciler.targets.new_service.state import (
    COMMITMENT_PLAN,
    KEYS,
    STORAGE_KEY,
    account_of,
    is_being_provisioned,
    is_never_provisioned,
    uri_parts,
)
from reconciler.targets.ownership import carries, is_ours, markers_for, tags_with_marker

_TRIES = 3
_BUSY_FOR = 60.0
"""Seconds that a refused write is tried again for; a write takes 10 to 18 (new-protocol 3)."""
_LONGEST_PAUSE = 5.0

Read = Callable[[str], Awaitable[Definition]]
Fresh = Callable[[str, Definition], Awaitable[LiveTarget]]


class Writer:
    """Carries out steps. Raises TargetError, PlanMoved, ServiceError, DefinitionError and MissingSecret."""

    def __init__(
        self, clients: Clients, writes: ServiceWrites, plans: Commitments, origins: ServiceSources, read: Read
    ) -> None:
        self._clients = clients
        self._writes = writes
        self._plans = plans
        self._origins = origins
        self._read = read
        self._created: set[str] = set()

    async def create(
        self, target: DesiredTarget, document: NewWebService, given: ResolvedDocument, artifacts: Artifacts
    ) -> None:
        """Create a service that serves the artifacts from its first moment on, unless an earlier try did."""
        identity = target.identity

        async def once() -> None:
            try:
                definition = await self._read(identity)
            except NotFound:
                definition = None
            if definition is not None and is_being_provisioned(definition):
                raise Conflict("waiting for the service to be provisioned", operation=f"create {target.name}")
            if definition is not None and not is_never_provisioned(definition):
                tags = member(definition, "tags") or {}
                if not is_ours(tags):
                    raise TargetChangedError(
                        "the service was created by somebody else after the plan was made; plan again"
                    )
                return
            body = await self._origins.body(document, given, artifacts)
            await self._put(document, given, body)
            self._created.add(identity)

        await self._retry_while_busy(once)

    async def repoint(
        self, step: Step, target: DesiredTarget, document: NewWebService, given: ResolvedDocument, artifacts: Artifacts
    ) -> None:
        """Point the trained models to the artifacts, unless they are."""

        async def once() -> None:
            definition = await self._read(target.identity)
            if not is_repointed(definition, artifacts):  # else an earlier try, of this run or another, got through
                await self._patch(document, given, definition, repoint_body(definition, step, artifacts))

        await self._retry_while_busy(once)

    async def adopt(
        self, target: DesiredTarget, document: NewWebService, given: ResolvedDocument, artifacts: Artifacts
    ) -> None:
        """Write the ownership marker; settings and model stay."""

        async def once() -> None:
            definition = await self._read(target.identity)
            if not is_repointed(definition, artifacts):
                raise TargetChangedError("the service was pointed to another model after the plan was made; plan again")
            tags = member(definition, "tags") or {}
            if not carries(tags, markers_for(artifacts)):
                body = {"tags": tags_with_marker(tags, markers_for(artifacts)), "properties": {"packageType": "Graph"}}
                await self._patch(document, given, definition, body)

        await self._retry_while_busy(once)

    async def settings(
        self,
        step: Step,
        target: DesiredTarget,
        document: NewWebService,
        given: ResolvedDocument,
        fresh: Fresh,
        *,
        markers: tuple[Marker, ...],
    ) -> None:
        """Write the settings, keys and definition that still differ, with the marker; then move the commitment plan."""

        async def once() -> None:
            definition = await self._read(target.identity)
            live = await fresh(target.identity, definition)
            if live.problem is not None:
                raise TargetError(live.problem.message)
            changed = {each.field: each.new for each in step.differences if live.settings.get(each.field) != each.new}
            if target.identity in self._created:
                changed.pop(STORAGE_KEY, None)
            operations = definition_changes(live.definition)
            if operations and not step.patch and target.identity in self._created:
                differing = "; ".join(live.definition.sentences[:3])
                raise TargetError(f"the service was created, but its definition differs from the spec: {differing}")
            if operations not in ((), step.patch):
                raise TargetChangedError("the definition changed after the plan was made; plan again")
            if COMMITMENT_PLAN in changed:
                await self._move(document, str(changed.pop(COMMITMENT_PLAN)))
            if changed or operations:
                await self._write_settings(document, given, definition, changed, operations, markers=markers)

        await self._retry_while_busy(once)

    async def _move(self, document: NewWebService, plan: str) -> None:
        if not await self._plans.move(document.spec.resource_id, plan):
            # None pays for it yet: a plan can be given by a write then.
            body = {"properties": {"packageType": "Graph", "commitmentPlan": {"id": plan}}}
            await self._clients.definitions.patch(document.spec.resource_id, body)

    async def _write_settings(
        self,
        document: NewWebService,
        given: ResolvedDocument,
        definition: Definition,
        changed: dict[str, Scalar],
        operations: tuple[PatchOperation, ...],
        *,
        markers: tuple[Marker, ...],
    ) -> None:
        patched = patched_definition(definition, operations)
        body = settings_body(definition, changed)
        tags = body.get("tags") or member(definition, "tags") or {}
        if not carries(tags, markers):
            body["tags"] = tags_with_marker(tags, markers)
        if any(name.startswith(KEYS) for name in changed) or removes_something(operations):
            body["properties"]["keys"] = await self._keys(document, given)
        if removes_something(operations):
            whole = _whole_body(document, given, patched, body)
            await self._put(document, given, await self._origins.with_secrets(document, whole))
            return
        if STORAGE_KEY in changed and given.storage_key is not None:
            # Without the name, as PowerShell does it: the name cannot be changed (new-protocol 3, 6.3).
            body["properties"]["storageAccount"] = {"key": given.storage_key.get_secret_value().strip()}
        body["properties"] = {**touched_members(patched, operations), **body["properties"]}
        await self._patch(document, given, definition, await self._origins.with_secrets(document, body))

    async def _keys(self, document: NewWebService, given: ResolvedDocument) -> dict[str, str]:
        """Both keys as they are to be: a write that names one alone might make the other anew."""
        spec = document.spec
        shown = await self._clients.definitions.all_keys(spec.resource_id, spec.arm_version)
        return {name: key.get_secret_value() for name, key in {**shown, **given.keys}.items()}

    async def delete(self, target: DesiredTarget, document: NewWebService) -> None:
        """Delete a service that has the ownership marker, and check that it is gone."""
        spec = document.spec

        async def once() -> None:
            try:
                tags = member(await self._clients.definitions.get(spec.resource_id, spec.arm_version), "tags") or {}
            except NotFound:
                return
            if not is_ours(tags):
                raise TargetChangedError("The ownership marker was removed; plan again")
            await self._writes.delete(spec.resource_id, spec.arm_version)
            try:
                await self._clients.definitions.get(spec.resource_id, spec.arm_version)
            except NotFound:
                return
            raise TargetError(f"{target.name}: still exists, although the service reported that it was deleted")

        await self._retry_while_busy(once)

    # -- how anything is written

    async def _retry_while_busy(self, once: Callable[[], Awaitable[None]]) -> None:
        """Look and write, until that got through.

        A service that is busy with an earlier write refuses others until that has ended (new-protocol 3): of this run,
        whose reply was lost or whose run was killed, or somebody else's. So it is waited for, and looked at again.
        """
        loop = asyncio.get_running_loop()
        busy_until = loop.time() + _BUSY_FOR
        pause = self._clients.cloud.poll.total_seconds()
        lost = 0
        while True:
            try:
                await once()
                return
            except LostReply:
                # Unknown whether it was taken: what GET shows decides, or the refusal of a second one.
                lost += 1
                if lost == _TRIES:
                    raise
            except Conflict:
                if loop.time() >= busy_until:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _patch(
        self, document: NewWebService, given: ResolvedDocument, definition: Definition, body: dict[str, Any]
    ) -> None:
        spec = document.spec
        properties = body["properties"]
        async with AsyncExitStack() as stack:
            if is_in_blob(definition) and payload_of(properties) and given.storage_key is not None:
                # As it was shown, so it is handed over: the whole payload, as a blob.
                whole = {**payload_of(member(definition, "properties")), **payload_of(properties)}
                rest = {name: value for name, value in properties.items() if name not in payload_of(properties)}
                properties = await stack.enter_async_context(
                    HandedOver(await self._storage(document, given, definition), {**rest, **whole})
                )
            written = {**body, "properties": properties}
            if spec.arm_version == PREVIEW:
                location = member(definition, "location")
                written |= {"location": location, "properties": preview_form(current_form(properties))}
            await self._clients.definitions.patch(spec.resource_id, written, version=spec.arm_version)

    async def _put(self, document: NewWebService, given: ResolvedDocument, body: dict[str, Any]) -> None:
        spec = document.spec
        async with AsyncExitStack() as stack:
            properties = body["properties"]
            if spec.arm_version == PREVIEW:
                properties = preview_form(current_form(properties))
            elif is_too_large(properties):
                storage = await self._storage(document, given, {"properties": properties})
                properties = await stack.enter_async_context(HandedOver(storage, properties))
            await self._writes.put(spec.resource_id, {**body, "properties": properties}, spec.arm_version)

    async def _storage(self, document: NewWebService, given: ResolvedDocument, definition: Definition) -> SecretStr:
        """How to reach the service's own storage account: where a model of its lies, if one does."""
        storage, key = document.spec.storage, given.storage_key
        if storage is None or key is None:
            raise TargetError(
                "the payload of the definition is too large to send, and spec.storage does not name an "
                "account to put it in"
            )
        uris = [value for path, value in walk(definition) if path[-1:] and path[-1].casefold() == "uri"]
        near = [uri for uri in uris if isinstance(uri, str) and uri.startswith("http")]
        at_home = next((uri for uri in near if account_of(uri).casefold() == storage.account.casefold()), None)
        base = uri_parts(at_home)[0] if at_home else await self._clients.account_url(storage.account)
        return connection_string_of(storage.account, key, base)


def _whole_body(
    document: NewWebService, given: ResolvedDocument, patched: Definition, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what PUT takes to remove a part of a definition: GET shows less than PUT wants (new-protocol 6.5).

    The commitment plan is left out: the service keeps the one that it has.
    """
    spec = document.spec
    if spec.storage is None or given.storage_key is None:
        raise TargetError(
            "a part of the definition has to be removed, which needs a PUT of the whole definition and so the "
            "storage account's key. Add spec.storage"
        )
    left_out = SERVER_SET | HANDED_OVER | {"commitmentplan"}
    shown = member(patched, "properties") or {}
    properties = {name: value for name, value in shown.items() if value is not None and name.casefold() not in left_out}
    for name, value in settings["properties"].items():
        old = member(properties, name)
        set_member(properties, name, {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value)
    key = given.storage_key.get_secret_value().strip()
    set_member(properties, "storageAccount", {"name": spec.storage.account, "key": key})
    if given.file is not None:
        properties = with_placeholders(properties, given.file.properties)
    tags = settings.get("tags") or member(patched, "tags") or {}
    return {"location": member(patched, "location"), "tags": tags, "properties": properties}
