"""What there is beside the live side: documents, and what the store remembers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.importing.workspaces import Meant
from reconciler.plan.states import Ledger
from reconciler.spec.documents import ClassicEndpoint, Model, NewWebService, Workspace
from reconciler.spec.fleet import Fleet
from reconciler.targets.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Known:
    """What drafts need to know beside the inventory.

    Attributes:
        workspaces: The workspaces that are imported, by the names of their documents.
        written: Which of them have no document yet.
        models: Models that have documents.
        names: The names of targets that have documents.
        managed: The identities of these targets, and of the New web services that models are trained by.
        training: Training services that models with documents are trained by: workspace, and name or id.
        ledger: What the store remembers.
    """

    workspaces: Mapping[str, Workspace]
    written: Collection[str] = ()
    models: Mapping[str, Model] = field(default_factory=dict)
    names: Collection[str] = ()
    managed: Collection[str] = ()
    training: Collection[tuple[str, str]] = ()
    ledger: Ledger = field(default_factory=Ledger)


def known_of(inventory: Inventory, meant: Meant, ledger: Ledger) -> Known:
    """Return what is known of an inventory of the workspaces that were meant."""
    fleet = meant.fleet
    if fleet is None:
        return Known(meant.workspaces, meant.written, ledger=ledger)
    return Known(
        meant.workspaces,
        meant.written,
        models=fleet.models,
        names=frozenset(target.name for target in fleet.targets),
        managed=frozenset(_managed(inventory, fleet)),
        training=frozenset(_training(fleet)),
        ledger=ledger,
    )


def _managed(inventory: Inventory, fleet: Fleet) -> Iterator[str]:
    """Return the identities of what has documents, or is what documents train by.

    A document may call a Classic web service by its name or its id.
    """
    documented = {
        (document.spec.workspace, document.spec.web_service, document.spec.endpoint)
        for document in fleet.of(ClassicEndpoint).values()
    }
    for service in inventory.services:
        for endpoint in service.endpoints:
            names = (service.id, service.name) if service.unique else (service.id,)
            if any((service.workspace, name, endpoint.name) in documented for name in names):
                yield endpoint.live.identity
    yield from (document.spec.resource_id.lower() for document in fleet.of(NewWebService).values())
    # A training service is no target (classic-protocol 5.1).
    for model in fleet.models.values():
        if model.spec.training is not None and model.spec.training.new is not None:
            yield model.spec.training.new.resource_id.lower()


def _training(fleet: Fleet) -> Iterator[tuple[str, str]]:
    for model in fleet.models.values():
        if model.spec.training is not None and model.spec.training.classic is not None:
            yield model.spec.workspace, model.spec.training.classic.web_service
