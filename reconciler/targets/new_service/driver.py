"""New web services: one definition each on Azure Resource Manager, written by ``PATCH``, created by ``PUT``.

A ``200`` proves nothing here (new-protocol 6.1, 6.2): only what a later ``GET`` shows does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.azure.arm.definition import api_location, find_trained_model, member, spelling
from reconciler.azure.arm.web_service_writes import ServiceWrites
from reconciler.azure.errors import DefinitionError, NotFound, ServiceError
from reconciler.plan.checks.facts import CommitmentPlanAssignment, RequiredPermission
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.document import Action, Step
from reconciler.plan.states import DefinitionDifference, DesiredTarget, LiveTarget, Problem, Proof
from reconciler.spec.documents import NewWebService
from reconciler.spec.secrets import MissingSecret
from reconciler.targets import probing
from reconciler.targets.arm.permissions import refusal
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import AccountKey, Diagnosis, Host, Reach
from reconciler.targets.driver import Artifacts, Driver, Notify, Requirements, TargetError, Verified
from reconciler.targets.inventory import Inventory, Scope
from reconciler.targets.new_service.bodies import removes_something
from reconciler.targets.new_service.commitment_plans import Commitments
from reconciler.targets.new_service.definition.diff import definition_difference
from reconciler.targets.new_service.definition.form import PREVIEW, Definition, current_form, same_place
from reconciler.targets.new_service.diagnosis import check_services
from reconciler.targets.new_service.inventory import take_inventory
from reconciler.targets.new_service.payloads import with_payload
from reconciler.targets.new_service.permissions import step_needs
from reconciler.targets.new_service.source import UNUSABLE, RandomBytes, ResolvedDocument, ServiceSources
from reconciler.targets.new_service.state import (
    COMMITMENT_PLAN,
    KIND,
    SETTINGS,
    STORAGE_KEY,
    desired,
    digest,
    is_being_provisioned,
    is_never_provisioned,
    live_definition,
    too_many_tags,
    with_secrets_and_plan,
    with_tags_as_wanted,
)
from reconciler.targets.new_service.writer import Writer
from reconciler.targets.ownership import markers_for, tag_count_with_marker, with_tags
from reconciler.targets.polling import Patience

__all__ = ["NewWebServices", "live_definition"]

_AT_ONCE = 16
_TRIES = 3


class NewWebServices(Driver):
    """The fleet's New web services."""

    kind = KIND
    probes = False

    def __init__(self, clients: Clients, random_bytes: RandomBytes = os.urandom) -> None:
        self._clients = clients
        self._specs: dict[str, NewWebService] = {
            document.spec.resource_id.lower(): document for document in clients.fleet.of(NewWebService).values()
        }
        self._seen: dict[str, Definition] = {}
        self._given: dict[str, ResolvedDocument] = {}
        if self._specs:
            writes = ServiceWrites(clients.definitions)
            self._plans = Commitments(clients.definitions, writes)
            self._origins = ServiceSources(clients, writes, random_bytes)
            self._writer = Writer(clients, writes, self._plans, self._origins, self.read)

    async def prepare(self) -> None:
        """See `Driver.prepare`. A resource id is an identity by itself; files and references are looked up."""
        for identity, document in self._specs.items():
            self._given[identity] = await self._origins.look_up(document)

    def desired(self) -> tuple[DesiredTarget, ...]:
        """See `Driver.desired`."""
        return tuple(
            desired(identity, document, self._given[identity].storage_key) for identity, document in self._specs.items()
        )

    # -- observe

    async def observe(self, recorded: Mapping[str, str]) -> dict[str, LiveTarget]:
        """See `Driver.observe`. One ``GET`` each, side by side: the list does not show assets (new-protocol 1)."""
        del recorded  # The definition shows its model's uri, so nothing has to be scored.
        gate = asyncio.Semaphore(_AT_ONCE)

        async def look(identity: str) -> LiveTarget:
            async with gate:
                return await self._look(identity)

        found = await asyncio.gather(*(look(identity) for identity in self._specs))
        return {live.identity: live for live in found}

    async def _look(self, identity: str) -> LiveTarget:
        document, given = self._specs[identity], self._given[identity]
        if given.problem is not None:
            return LiveTarget(identity, exists=False, problem=given.problem, fingerprint=digest(given.problem.code))
        try:
            try:
                definition = await self._provisioned(identity)
            except NotFound:
                return await self._absent(identity)
            if is_never_provisioned(definition) and self._origins.missing_for_creation(document, given) is None:
                # Its creation failed: nothing of it is there that could be lost, and it is made once more.
                return await self._absent(identity)
            return await self._whole(identity, definition)
        except (ServiceError, MissingSecret, DefinitionError) as error:
            problem = refusal(error, document.spec.resource_id)
            problem = problem or Problem("service-unreadable", f"{document.spec.resource_id}: {error}")
            return LiveTarget(identity, exists=False, problem=problem, fingerprint=digest(problem.code))

    async def _provisioned(self, identity: str) -> Definition:
        """Return the definition; that of a service which is being created, when it has one."""
        cloud = self._clients.cloud
        patience = Patience(cloud.settle, cloud.poll, tries=_TRIES)
        while True:
            definition = await self.read(identity)
            creating = is_never_provisioned(definition) and is_being_provisioned(definition)
            if not creating or not await patience.again():
                return definition

    async def _absent(self, identity: str) -> LiveTarget:
        document, given = self._specs[identity], self._given[identity]
        if document.spec.state == "absent":
            return LiveTarget(identity, exists=False, fingerprint=digest("absent"))
        problem = self._origins.missing_for_creation(document, given)
        if problem is not None:
            return LiveTarget(identity, exists=False, problem=problem, fingerprint=digest("absent"))
        properties = await self._origins.properties(document, given)
        try:
            for use in document.spec.bindings:
                find_trained_model({"properties": properties}, use.resource)  # Else no PUT of it is to be tried.
        except DefinitionError as error:
            made_from = document.spec.copy_of or (document.spec.definition and document.spec.definition.file)
            problem = Problem("no-trained-model", f"{made_from}: {error}", "Correct model.resource in the spec")
            return LiveTarget(identity, exists=False, problem=problem, fingerprint=digest("absent"))
        tags = with_tags({} if given.file is None else given.file.tags, document.spec.tags)
        problem = too_many_tags(tag_count_with_marker(tags, made=True, marked=bool(document.spec.bindings)))
        if problem is not None:
            return LiveTarget(identity, exists=False, problem=problem, fingerprint=digest("absent"))
        assets = member(properties, "assets") or {}
        resources = [str(member(each, "name")) for each in assets.values() if _is_resource(each)]
        made_of = digest(properties) if given.file is not None else ""
        return LiveTarget(
            identity, exists=False, resources=tuple(sorted(resources)), fingerprint=digest("absent", made_of)
        )

    async def _whole(self, identity: str, definition: Definition) -> LiveTarget:
        """Return a service that is there, with what is managed of it beside its model."""
        document, given = self._specs[identity], self._given[identity]
        spec = document.spec
        live = live_definition(identity, [use.resource for use in spec.bindings], definition)
        if live.problem is not None or spec.state == "absent":
            return live
        live = with_tags_as_wanted(live, spec.tags)
        problem = _misplaced(document, given, definition)
        if problem is None:
            tags = with_tags(member(definition, "tags") or {}, spec.tags)
            problem = too_many_tags(len(tags))
            if too_many_tags(tag_count_with_marker(tags, made=False, marked=bool(spec.bindings))) is not None:
                live = replace(live, marker_room=0)
        if problem is not None:
            return LiveTarget(identity, exists=True, problem=problem, fingerprint=live.fingerprint)
        keys: dict[str, bool] = {}
        if given.keys:
            shown = await self._clients.definitions.all_keys(spec.resource_id, spec.arm_version)
            keys = {
                name: name in shown and shown[name].get_secret_value() == key.get_secret_value()
                for name, key in given.keys.items()
            }
        plan = None
        if spec.commitment_plan is not None:
            plan = await self._plans.plan_of(spec.resource_id, spec.commitment_plan)
        return with_secrets_and_plan(live, keys=keys, plan=plan, difference=self._difference(identity, definition))

    def _difference(self, identity: str, definition: Definition) -> DefinitionDifference:
        spec, file = self._specs[identity].spec, self._given[identity].file
        if file is None:
            return DefinitionDifference()
        managed = [each.place[0] for each in SETTINGS if each.wanted(spec.settings) is not None]
        models = [use.resource for use in spec.bindings]
        return definition_difference(file.content, definition, models=models, settings=managed, ignore=spec.ignore)

    async def read(self, identity: str) -> Definition:
        """Return a service's definition, payload inline and parameters in the newer form; raises ServiceError."""
        spec = self._specs[identity].spec
        definition: Definition = await self._clients.definitions.get(spec.resource_id, spec.arm_version)
        definition = await with_payload(self._clients.http, definition)
        key = spelling(definition, "properties")
        if spec.arm_version == PREVIEW and key is not None:
            definition = {**definition, key: current_form(definition[key])}
        self._seen[identity] = definition
        return definition

    def requirements(self, identity: str, step: Step) -> Requirements:
        """See `Driver.requirements`."""
        return Requirements(
            payer=self._claim(identity, step),
            permissions=self._needs(identity, step),
            key=self._key_handed_over(identity, step),
        )

    def _needs(self, identity: str, step: Step) -> tuple[RequiredPermission, ...]:
        return step_needs(self._specs[identity].spec, step, self._origins.source(self._specs[identity].spec))

    async def _payer(self, identity: str) -> str | None:
        """Return the commitment plan that pays for a service, if that is managed and can be told."""
        spec = self._specs[identity].spec
        if spec.commitment_plan is None:
            return None
        try:
            return await self._plans.plan_of(spec.resource_id, spec.commitment_plan)
        except (ServiceError, MissingSecret):
            return None

    def _claim(self, identity: str, step: Step) -> CommitmentPlanAssignment | None:
        """Return the plan that is to pay from a step on; it has to be in the service's region (new-protocol 5)."""
        moved = any(each.field == COMMITMENT_PLAN for each in step.differences)
        if step.action is not Action.CREATE and not (moved and step.action is Action.SETTINGS):
            return None
        if step.action is Action.SETTINGS and identity not in self._seen:
            return None  # It is created by the step before, which claims the plan.
        spec, file = self._specs[identity].spec, self._given[identity].file
        live = member(self._seen.get(identity, {}), "location")
        location = live or spec.location or (None if file is None else file.location)
        return (
            None
            if spec.commitment_plan is None or not location
            else CommitmentPlanAssignment(spec.commitment_plan, str(location))
        )

    def _key_handed_over(self, identity: str, step: Step) -> AccountKey | None:
        """Return the key that a step hands over. A ``PUT`` has it in it, also where it is to take something out."""
        changed = any(each.field == STORAGE_KEY for each in step.differences) or removes_something(step.patch)
        return self._account_key(identity) if step.action is Action.CREATE or changed else None

    async def diagnose(self, reach: Reach) -> Diagnosis:
        """See `Driver.diagnose`. Definition files are checked with the specs."""
        checks: list[Check] = []
        hosts: list[Host] = []
        await self.prepare()
        if reach.signed_in and self._clients.needs_resource_manager:
            checks, hosts = await check_services(self._clients, self._needs, self._payer, reach.now)
        for identity, given in self._given.items():
            problem = given.problem
            if problem is not None and problem.code != UNUSABLE:
                subject = f"{KIND} {self._specs[identity].name}"
                text, remedy = problem.message, problem.remedy
                check = Check(name=problem.code, subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)
                checks.append(check)
        keys = dict.fromkeys(key for key in map(self._account_key, self._specs) if key is not None)
        return Diagnosis(tuple(checks), tuple(hosts), tuple(keys))

    async def inventory(self, scopes: Sequence[Scope]) -> Inventory:
        """See `Driver.inventory`."""
        return await take_inventory(self._clients, scopes)

    def _account_key(self, identity: str) -> AccountKey | None:
        document, key = self._specs[identity], self._given[identity].storage_key
        storage = document.spec.storage
        if storage is None or key is None:
            return None
        return AccountKey(storage.account, key, f"spec.storage.key of {KIND} {document.name}", str(storage.key))

    async def answers(self, target: DesiredTarget) -> str | None:
        """See `Driver.answers`."""
        document = self._specs[target.identity]
        definition = self._seen.get(target.identity)
        if definition is None:
            return None
        try:
            key = await self._clients.definitions.list_keys(document.spec.resource_id)
        except (ServiceError, MissingSecret):
            return None
        base = api_location(definition)
        if base is None:
            return None
        scoring = self._clients.scoring(base, key)
        return await probing.score(scoring, document.spec.probe, lambda: probing.made_rows(scoring))

    # -- carry out

    async def carry_out(self, step: Step, target: DesiredTarget, artifacts: Artifacts) -> None:
        """See `Driver.carry_out`."""
        document, given = self._specs[target.identity], self._given[target.identity]
        try:
            match step.action:
                case Action.CREATE:
                    await self._writer.create(target, document, given, artifacts)
                case Action.REPOINT:
                    await self._writer.repoint(step, target, document, given, artifacts)
                case Action.SETTINGS:
                    markers = markers_for(artifacts)
                    await self._writer.settings(step, target, document, given, self._fresh, markers=markers)
                case Action.ADOPT:
                    await self._writer.adopt(target, document, given, artifacts)
                case _:
                    raise TargetError(f"a New web service has no step {step.action}")
        except (ServiceError, DefinitionError) as error:
            raise TargetError(str(error)) from error

    async def _fresh(self, identity: str, definition: Definition) -> LiveTarget:
        self._plans.forget()
        return await self._whole(identity, definition)

    async def delete(self, target: DesiredTarget) -> None:
        """See `Driver.delete`."""
        try:
            await self._writer.delete(target, self._specs[target.identity])
        except (ServiceError, DefinitionError) as error:
            raise TargetError(str(error)) from error

    async def verify(self, target: DesiredTarget, artifacts: Artifacts, before: str | None, notify: Notify) -> Verified:
        """See `Driver.verify`. The proof is the uri that the definition shows, whatever the answers are."""
        notify("reading the definition again")
        try:
            definition = await self.read(target.identity)
            live = await self._fresh(target.identity, definition)
        except (ServiceError, DefinitionError) as error:
            raise TargetError(str(error)) from error
        if live.problem is not None:
            raise TargetError(live.problem.message)
        for resource, artifact in artifacts.items():
            location = live.bound[resource].location
            if location != artifact.location:
                shown = "nothing" if location is None else location.uri
                raise TargetError(
                    f"the service answered with success, but its definition shows {shown}, not {artifact.location.uri}"
                )
        if live.definition.sentences:
            differing = "; ".join(live.definition.sentences[:3])
            raise TargetError(f"the service answered with success, but its definition still differs: {differing}")
        ignored_settings = {name: value for name, value in target.settings.items() if live.settings.get(name) != value}
        answers = await self.answers(target)
        text = "the definition shows the new location" if artifacts else "the definition shows its settings"
        if probing.comparable(before, answers):
            text += ", the answers are the same as before" if answers == before else ", the answers changed"
        return Verified(Proof.PROVEN, text, answers, ignored_settings)


def _is_resource(asset: Any) -> bool:
    return str(member(asset, "type") or "").casefold() == "resource"


def _misplaced(document: NewWebService, given: ResolvedDocument, definition: Definition) -> Problem | None:
    """Refuse another region or storage account: a service keeps those it was created with (new-protocol 1, 6.3)."""
    spec = document.spec
    region = str(member(definition, "location") or "")
    wanted = spec.location or (given.file.location if given.file is not None else None)
    if wanted is not None and region and not same_place(wanted, region):
        text = f"The service is in {region}, but the spec says {wanted}. A service cannot be moved to another region"
        return Problem(
            "other-region", text, "Correct location, or create a copy in that region (copyOf in a document of its own)"
        )
    account = str(member(definition, "properties", "storageAccount", "name") or "")
    if spec.storage is not None and account and account.casefold() != spec.storage.account.casefold():
        text = f"The service has storage account {account}, not {spec.storage.account}, and cannot change it"
        return Problem("other-storage-account", text, "Correct spec.storage.account")
    return None
