"""What there is beside the live side: documents, and what the store remembers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from reconciler.importing.workspaces import Meant
from reconciler.plan.states import Ledger
from reconciler.spec.documents import Model, Workspace
from reconciler.spec.documents.model import trainer_of


@dataclass(frozen=True, slots=True)
class Known:
    """What drafts need to know beside the inventory.

    Attributes:
        workspaces: The workspaces that are imported, by the names of their documents.
        written: Which of them have no document yet.
        models: Models that have documents.
        names: The names of targets that have documents.
        documented: What these targets are on the service, as `Target.identity` says it.
        training: The services that models with documents are trained by, as `Target.service_of` says it: a training
            service is never a target (classic-protocol 5.1).
        ledger: What the store remembers.
    """

    workspaces: Mapping[str, Workspace]
    written: Collection[str] = ()
    models: Mapping[str, Model] = field(default_factory=dict)
    names: Collection[str] = ()
    documented: frozenset[tuple[str, ...]] = frozenset()
    training: frozenset[tuple[str, ...]] = frozenset()
    ledger: Ledger = field(default_factory=Ledger)


def known_of(meant: Meant, ledger: Ledger) -> Known:
    """Return what is known beside the workspaces that were meant."""
    fleet = meant.fleet
    if fleet is None:
        return Known(meant.workspaces, meant.written, ledger=ledger)
    ids = {name: workspace.spec.id for name, workspace in fleet.workspaces.items()}
    trainers = (
        trainer_of({field: str(value) for field in model.FIELDS if (value := model.at(field)) is not None})
        for model in fleet.models.values()
    )
    return Known(
        meant.workspaces,
        meant.written,
        models=fleet.models,
        names=frozenset(target.name for target in fleet.targets),
        documented=frozenset(target.identity(ids) for target in fleet.targets),
        training=frozenset(trainer for trainer in trainers if trainer is not None),
        ledger=ledger,
    )
