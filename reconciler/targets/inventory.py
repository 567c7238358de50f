"""All targets that are live, whether a spec names them or not: what ``reconcile import`` writes specs for.

Each kind says what it found, in groups that go into one file, and how a document of it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from reconciler.azure.errors import ServiceError
from reconciler.plan.states import LiveTarget, Scalar
from reconciler.spec.documents import Metadata, Part, Target
from reconciler.spec.secret_detection import looks_secret
from reconciler.spec.secrets import MissingSecret

_F = TypeVar("_F")
_G = TypeVar("_G")
_P = TypeVar("_P", bound=Part)

Serves: TypeAlias = Mapping[str, Any]
"""What a spec says of the models that a target serves: its fields ``model`` or ``models``, or neither."""
MakeDocument: TypeAlias = Callable[[Metadata, Serves, list[str]], Target | None]
"""Makes the document of a target, and adds to the list what a comment has to say; None if no rules allow one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where targets in Azure Resource Manager are looked for: a subscription, or one resource group of it."""

    subscription: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """A live target.

    Attributes:
        kind: The kind of its document.
        title: What the service calls it, for comments; shown only where it does not look like a secret.
        name: What its document would be called.
        live: What is live.
        resources: The names of its trained models.
        workspace: The name of the workspace document in whose storage its models lie; empty if that is unknown.
        identities: What `Target.identity` is of any document of it.
        document: Makes its document.
    """

    kind: str
    title: str
    name: str
    live: LiveTarget
    resources: tuple[str, ...]
    workspace: str
    identities: frozenset[tuple[str, ...]]
    document: MakeDocument


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """Targets whose documents go into one file.

    Attributes:
        identity: What tells it from other groups.
        file_name: What its file would be called, without ``.yaml``.
        workspace: The name of its workspace's document, which tells equal names apart; empty if it is in none.
        heading: The first sentence of the comment at the head of its file.
        noun: What its targets are called there: ``endpoints``.
        targets: The targets.
    """

    identity: str
    file_name: str
    workspace: str
    heading: str
    noun: str
    targets: tuple[FoundTarget, ...]


@dataclass(frozen=True, slots=True)
class FoundService:
    """A web service that is no target and has none.

    Attributes:
        title: What it is called, for a comment.
        services: What `Target.service_of` would say of it.
        heading: The comment under which it is listed; empty if it is a training service.
    """

    title: str
    services: frozenset[tuple[str, ...]]
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found.

    Attributes:
        groups: The targets.
        services: Web services without targets.
        problems: What could not be read, and why.
        failures: Why a whole workspace or scope could not be listed.
        listed: How many workspaces and scopes could.
    """

    groups: tuple[FoundGroup, ...] = ()
    services: tuple[FoundService, ...] = ()
    problems: tuple[str, ...] = ()
    failures: tuple[ServiceError | MissingSecret, ...] = field(default=(), repr=False)
    listed: int = 0


def joined(parts: Iterable[Inventory]) -> Inventory:
    """Return what all kinds found.

    Raises:
        ServiceError, MissingSecret: nothing could be listed at all.
    """
    parts = tuple(parts)
    failures = tuple(error for part in parts for error in part.failures)
    listed = sum(part.listed for part in parts)
    if failures and not listed:
        raise failures[0]
    return Inventory(
        groups=tuple(group for part in parts for group in part.groups),
        services=tuple(service for part in parts for service in part.services),
        problems=(*map(str, failures), *(problem for part in parts for problem in part.problems)),
        listed=listed,
    )


async def list_each(
    places: Sequence[_F], listing: Callable[[_F], Awaitable[list[_G]]]
) -> tuple[list[list[_G]], tuple[ServiceError | MissingSecret, ...]]:
    """List several places side by side; return what each gave that could be listed, and why the others could not."""
    found = await asyncio.gather(*map(listing, places), return_exceptions=True)
    failures = tuple(each for each in found if isinstance(each, ServiceError | MissingSecret))
    for each in found:
        if isinstance(each, BaseException) and not isinstance(each, ServiceError | MissingSecret):
            raise each
    return [each for each in found if not isinstance(each, BaseException)], failures


def sayable(live: Mapping[str, Scalar], part: type[Part]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that a spec can say, by its fields, and a comment for each of the others."""
    said: dict[str, Any] = {}
    comments: list[str] = []
    for name, value in live.items():
        if value is None or value == "":
            continue
        why = _why_not(name, value, said, part)
        if why:
            comments.append(f"{part.model_fields[name].alias} is left out, so it is not managed: it {why}.")
        else:
            said[name] = value
    return said, comments


def _why_not(field: str, value: Scalar, said: Mapping[str, Any], part: type[Part]) -> str:
    """Why a spec cannot say a setting beside those that it says; empty if it can."""
    if isinstance(value, str):
        if looks_secret(value):
            return "looks like a secret"
        if value != value.strip():
            return "begins or ends with a space, which would be lost"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return "holds half a character"
    try:
        part.model_validate({**said, field: value})
    except ValidationError as error:
        names = {field, part.model_fields[field].alias}
        wrong = [each for each in error.errors(include_url=False, include_input=False) if names & set(each["loc"])]
        if wrong:
            return str(wrong[0].get("ctx", {}).get("summary") or "is not allowed in specs")
    return ""


def allowed(part: type[_P], **values: Any) -> _P | None:
    """Return a part of a document, if its rules allow the values."""
    try:
        return part(**values)
    except ValidationError:
        return None
