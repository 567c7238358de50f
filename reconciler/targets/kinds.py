"""The kinds of target: the one list. A kind is its document, its driver, and what only it can do.

A kind is added here and nowhere else; `reconciler.targets.driver` says what a driver has to do. What a kind takes is
imported when it is first used, so that a command pays only for what it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reconciler.spec.documents import ClassicEndpoint, Kinds, NewWebService, Target, kinds_of
from reconciler.spec.fleet import Rule

if TYPE_CHECKING:
    from reconciler.spec.diagnostics import Diagnostic
    from reconciler.spec.loading.loader import Tree
    from reconciler.targets.clients import Clients
    from reconciler.targets.driver import Driver, Exported


class MakeDriver(Protocol):
    """Makes the driver of a kind for one pass."""

    def __call__(self, clients: Clients, /) -> Driver:
        """Return the driver, which has sent nothing yet."""


class Export(Protocol):
    """Reads a live target as a definition file.

    Raises:
        TargetError: it has no definition.
        ServiceError: it cannot be read.
    """

    async def __call__(self, clients: Clients, resource_id: str, /) -> Exported:
        """Return the definition, without secrets."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of target.

    Attributes:
        document: What users write.
        driver: Makes the driver of a pass.
        rules: What its documents have to meet that takes other files than theirs.
        export: Reads a live target, by its resource id, as a definition file that a document can name; None if a
            document has none.
    """

    document: type[Target]
    driver: MakeDriver
    rules: tuple[Rule, ...] = ()
    export: Export | None = None


def _classic(clients: Clients) -> Driver:
    from reconciler.targets.classic.driver import ClassicEndpoints  # noqa: PLC0415 - only where a pass is made

    return ClassicEndpoints(clients)


def _new(clients: Clients) -> Driver:
    from reconciler.targets.new_service.driver import NewWebServices  # noqa: PLC0415 - as above

    return NewWebServices(clients)


async def _new_definition(clients: Clients, resource_id: str) -> Exported:
    from reconciler.targets.new_service.export import exported  # noqa: PLC0415 - as above

    return await exported(clients, resource_id)


def _definition_files(tree: Tree) -> Iterable[Diagnostic]:
    from reconciler.targets.new_service.definition.spec_rule import definition_errors  # noqa: PLC0415 - as above

    return definition_errors(tree)


KINDS: tuple[Kind, ...] = (
    Kind(ClassicEndpoint, _classic),
    Kind(NewWebService, _new, rules=(_definition_files,), export=_new_definition),
)


def documents() -> Kinds:
    """Return all kinds of document, by the names that ``kind`` gives them."""
    return kinds_of(kind.document for kind in KINDS)


def drivers(clients: Clients) -> dict[str, Driver]:
    """Return a new driver of each kind, by the kind's name."""
    return {kind.document.kind_name(): kind.driver(clients) for kind in KINDS}


def rules() -> Iterator[Rule]:
    """Return the rules of all kinds, for `reconciler.spec.fleet.load_fleet`."""
    for kind in KINDS:
        yield from kind.rules
