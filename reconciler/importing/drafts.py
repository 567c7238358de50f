"""Documents for what is live, with what has to be said about them in comments.

A document says every setting that the live side has and a spec can say. What it cannot say (a description that looks
like a secret, a number beyond the rules) is left out, so it is not managed, and a comment names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from reconciler.importing.known import Known
from reconciler.importing.naming import in_full, slug, told_apart, unique
from reconciler.importing.versions import ReadyMade, Seen, make_out, seen_resources
from reconciler.plan.states import LiveTarget, Scalar
from reconciler.spec.documents import (
    ClassicEndpoint,
    ClassicEndpointSpec,
    Document,
    Metadata,
    Model,
    ModelMetadata,
    ModelSpec,
    ModelUse,
    NewSettings,
    NewWebService,
    NewWebServiceSpec,
    Part,
    ReadyLocation,
    ReadyVersion,
)
from reconciler.spec.documents.rules import NAME_LIMIT
from reconciler.spec.secret_detection import looks_secret
from reconciler.targets.inventory import FoundEndpoint, FoundService, FoundWebService, Inventory
from reconciler.targets.new_service.state import TAGS

_P = TypeVar("_P", bound=Part)

_SERVICE_PART = 70
"""How much of a service's name goes into that of a document."""
_CLASSIC_SETTINGS = {
    "Description": "description",
    "ThrottleLevel": "throttle_level",
    "MaxConcurrentCalls": "max_concurrent_calls",
    "DiagnosticsTraceLevel": "diagnostics",
}
"""Wire names (as `LiveTarget.settings` has them) and the fields of a spec."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A document to be written, and the comment lines above it."""

    document: Document
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceDrafts:
    """The endpoints of one Classic web service. ``unsaid`` are those that no document can be written for."""

    service: FoundService
    endpoints: tuple[Draft, ...]
    unsaid: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupDrafts:
    """The New web services of one resource group."""

    group: str
    web_services: tuple[Draft, ...]
    unsaid: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drafts:
    """All that is written, and what was found and needs no writing."""

    workspaces: tuple[Draft, ...]
    models: tuple[Draft, ...]
    services: tuple[ServiceDrafts, ...]
    groups: tuple[GroupDrafts, ...]
    idle: tuple[FoundService, ...] = ()
    """Training services that no document refers to, and services that have nothing but the default endpoint."""
    training: tuple[str, ...] = ()
    """The resource ids of New training services that no document refers to."""
    managed: int = 0
    """How many targets have documents already."""
    problems: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def unsaid(self) -> int:
        """How many targets no document can be written for."""
        parts: list[ServiceDrafts | GroupDrafts] = [*self.services, *self.groups]
        return sum(len(part.unsaid) for part in parts)


def draft(inventory: Inventory, known: Known) -> Drafts:
    """Documents for all of an inventory that has none yet. Pure."""
    return _Drafter(inventory, known).drafted()


class _Drafter:
    def __init__(self, inventory: Inventory, known: Known) -> None:
        self._inventory = inventory
        self._known = known
        self._endpoints = {
            endpoint.live.identity: (service, endpoint)
            for service in inventory.services
            for endpoint in service.endpoints
            if endpoint.live.identity not in known.managed
        }
        self._web_services = {
            found.resource_id.lower(): found
            for found in inventory.web_services
            if found.resource_id.lower() not in known.managed and not found.training
        }
        self._names = self._named()
        self._versions = make_out(self._seen(), known.ledger, known.models)

    def _named(self) -> dict[str, str]:
        wanted: dict[str, str] = {}
        homes: dict[str, str] = {}
        for identity, (service, endpoint) in self._endpoints.items():
            part = slug(service.name, _SERVICE_PART, otherwise="service")
            wanted[identity] = f"{part}-{slug(endpoint.name, 24, otherwise='endpoint')}"
            homes[identity] = service.workspace
        for identity, found in self._web_services.items():
            wanted[identity] = slug(_name_of(found.resource_id), _SERVICE_PART, otherwise="service")
        told = told_apart(wanted, homes, NAME_LIMIT)
        return unique(told, {identity: identity for identity in wanted}, self._known.names, NAME_LIMIT)

    def _seen(self) -> list[Seen]:
        ledger = self._known.ledger
        seen = [
            one
            for service, endpoint in self._endpoints.values()
            for one in seen_resources(endpoint.live, endpoint.resources, service.workspace, ledger)
        ]
        for found in self._web_services.values():
            if found.live is not None:
                seen += seen_resources(found.live, found.resources, self._home(found), ledger)
        return seen

    def _home(self, found: FoundWebService) -> str:
        """Return the workspace that a New web service was deployed from, or the first one if that is not imported."""
        for name, workspace in self._known.workspaces.items():
            if workspace.spec.id.lower() == (found.workspace_id or "").lower():
                return name
        return next(iter(self._known.workspaces))

    def drafted(self) -> Drafts:
        services = [self._service(service) for service in self._inventory.services if service.endpoints]
        return Drafts(
            workspaces=tuple(Draft(self._known.workspaces[name]) for name in sorted(self._known.written)),
            models=tuple(_models(self._versions.ready)),
            services=tuple(each for each in services if each.endpoints or each.unsaid),
            groups=tuple(self._groups()),
            idle=tuple(filter(self._is_idle, self._inventory.services)),
            training=tuple(
                found.resource_id
                for found in self._inventory.web_services
                if found.training and found.resource_id.lower() not in self._known.managed
            ),
            managed=sum(identity in self._known.managed for identity in self._identities()),
            problems=tuple(self._problems()),
        )

    def _identities(self) -> Iterator[str]:
        """Those of all targets that were found."""
        yield from (endpoint.live.identity for service in self._inventory.services for endpoint in service.endpoints)
        yield from (found.resource_id.lower() for found in self._inventory.web_services)

    def _is_idle(self, service: FoundService) -> bool:
        names = (service.id, service.name) if service.unique else (service.id,)
        referred = any((service.workspace, name) in self._known.training for name in names)
        return not (service.problem or service.endpoints or referred)

    def _problems(self) -> Iterator[str]:
        yield from self._inventory.problems
        for service in self._inventory.services:
            if service.problem:
                yield f"web service {in_full(service.name)} of workspace {service.workspace}: {service.problem}"
        for found in self._web_services.values():
            if found.live is None:
                yield f"{found.resource_id}: {found.problem}"

    # -- Classic

    def _service(self, service: FoundService) -> ServiceDrafts:
        endpoints: list[Draft] = []
        unsaid: list[str] = []
        for endpoint in service.endpoints:
            if endpoint.live.identity not in self._endpoints:
                continue
            document = self._endpoint(service, endpoint)
            endpoints.append(document) if document is not None else unsaid.append(in_full(endpoint.name))
        return ServiceDrafts(service, tuple(endpoints), tuple(unsaid))

    def _endpoint(self, service: FoundService, endpoint: FoundEndpoint) -> Draft | None:
        """Return the document of an endpoint; None if the rules of documents do not allow its name."""
        by_name = service.unique and service.name.strip() and not looks_secret(service.name)
        said, comments = _said(
            {field: endpoint.live.settings.get(wire) for wire, field in _CLASSIC_SETTINGS.items()}, ClassicEndpointSpec
        )
        spec = _made(
            ClassicEndpointSpec,
            workspace=service.workspace,
            web_service=service.name if by_name else service.id,
            endpoint=endpoint.name,
            **self._serving(endpoint.live, endpoint.resources, comments),
            **said,
        )
        if spec is None:
            return None
        metadata = Metadata(name=self._names[endpoint.live.identity])
        return Draft(ClassicEndpoint(metadata=metadata, spec=spec), tuple(comments))

    def _serving(self, live: LiveTarget, resources: Sequence[str], comments: list[str]) -> dict[str, Any]:
        """Return what a spec says of a target's models, as far as it is known."""
        bindings = [
            ModelUse(resource=resource, name=key.model, version=key.label)
            for resource in resources
            if (key := self._versions.of.get((live.identity, resource))) is not None and not looks_secret(resource)
        ]
        if not bindings and live.markers:
            noted = ", ".join(str(marker.version) for marker in live.markers)
            comments.append(f"Its ownership marker names {noted}, whose location is unknown: no model is managed.")
        if len(bindings) > 1:
            return {"models": tuple(bindings)}
        return {"model": bindings[0]} if bindings else {}

    # -- New

    def _groups(self) -> Iterator[GroupDrafts]:
        by_group: dict[str, list[FoundWebService]] = {}
        for found in self._web_services.values():
            if found.live is not None:
                by_group.setdefault(_group_of(found.resource_id), []).append(found)
        for group, members in sorted(by_group.items()):
            drafts = [(found, self._web_service(found, found.live)) for found in members if found.live is not None]
            yield GroupDrafts(
                group,
                tuple(each for _, each in drafts if each is not None),
                tuple(in_full(found.resource_id) for found, each in drafts if each is None),
            )

    def _web_service(self, found: FoundWebService, live: LiveTarget) -> Draft | None:
        """Return the document of a New web service; None if the rules of documents do not allow its resource id."""
        wire = {field.alias or name: name for name, field in NewSettings.model_fields.items()}
        said, comments = _said({name: live.settings.get(alias) for alias, name in wire.items()}, NewSettings)
        if found.problem:
            comments.append(f"No model is managed: {found.problem}.")
        tags = _tags(live, found.resource_id, comments)
        spec = _made(
            NewWebServiceSpec,
            resource_id=found.resource_id,
            settings=NewSettings(**said),
            tags=tags,
            **self._serving(live, found.resources, comments),
        )
        if spec is None:
            return None
        metadata = Metadata(name=self._names[found.resource_id.lower()])
        return Draft(NewWebService(metadata=metadata, spec=spec), tuple(comments))


def _tags(live: LiveTarget, resource_id: str, comments: list[str]) -> dict[str, str]:
    """Return the tags of a New web service that a spec can say."""
    said: dict[str, str] = {}
    for name, value in live.settings.items():
        tag = name.removeprefix(TAGS)
        if tag == name or not isinstance(value, str):
            continue
        allowed = _made(NewWebServiceSpec, resource_id=resource_id, tags={**said, tag: value}) is not None
        if allowed and not looks_secret(tag) and not looks_secret(value):
            said[tag] = value
        else:
            comments.append(f"The tag {in_full(tag)} is left out, so it is not managed: a spec cannot say it.")
    return said


def _models(ready: Sequence[ReadyMade]) -> Iterator[Draft]:
    """Return the models that versions have to be written into."""
    by_model: dict[str, list[ReadyMade]] = {}
    for each in ready:
        by_model.setdefault(each.key.model, []).append(each)
    for name, versions in sorted(by_model.items()):
        locations = {each.key.label: each.location for each in versions}
        spec = ModelSpec(
            workspace=versions[0].workspace,
            versions={
                label: ReadyVersion(location=ReadyLocation(base_location=place.base, relative_location=place.relative))
                for label, place in locations.items()
            },
        )
        yield Draft(Model(metadata=ModelMetadata(name=name), spec=spec))


def _said(live: Mapping[str, Scalar], part: type[Part]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that a spec can say, by its fields, and a comment for each of the others."""
    said: dict[str, Any] = {}
    comments: list[str] = []
    for field, value in live.items():
        if value is None or value == "":
            continue
        why = _why_not(field, value, said, part)
        if why:
            comments.append(f"{part.model_fields[field].alias} is left out, so it is not managed: it {why}.")
        else:
            said[field] = value
    return said, comments


def _why_not(field: str, value: Scalar, said: Mapping[str, Any], part: type[Part]) -> str:
    """Why a spec cannot say a setting beside those that it says; empty if it can."""
    if isinstance(value, str):
        if looks_secret(value):
            return "looks like a secret"
        if value != value.strip():
            return "begins or ends with a blank, which would be lost"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return "holds half a character"
    try:
        part.model_validate({**said, field: value})
    except ValidationError as error:
        names = {field, part.model_fields[field].alias}
        wrong = [each for each in error.errors(include_url=False, include_input=False) if names & set(each["loc"])]
        if wrong:
            return str(wrong[0].get("ctx", {}).get("summary") or "is not what the rules of specs allow")
    return ""


def _made(part: type[_P], **values: Any) -> _P | None:
    """Return a part of a document, if its rules allow the values."""
    try:
        return part(**values)
    except ValidationError:
        return None


def _name_of(resource_id: str) -> str:
    return resource_id.rstrip("/").rpartition("/")[2]


def _group_of(resource_id: str) -> str:
    parts = resource_id.strip("/").split("/")
    return parts[3].lower() if len(parts) > 3 else "services"
