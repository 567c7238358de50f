"""What all that the documents of New web services may come to has to be allowed, whatever is planned now."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from reconciler.plan.document import Action, CostClass, Difference, Step
from reconciler.plan.preflight.facts import Need
from reconciler.spec.documents import NewWebServiceSpec
from reconciler.spec.fleet import Fleet
from reconciler.targets.new_needs import training_needs
from reconciler.targets.new_state import COMMITMENT_PLAN, KEYS
from reconciler.targets.new_web_service import NewWebServices


async def fleet_needs(fleet: Fleet, driver: NewWebServices, missing: AbstractSet[str]) -> dict[str, tuple[Need, ...]]:
    """The needs of each service that is a target or trains a model which one wants, by its lower-cased resource id.

    Args:
        fleet: The documents.
        driver: Of its New web services, prepared.
        missing: The lower-cased resource ids of those that do not exist.
    """
    needs: dict[str, tuple[Need, ...]] = {}
    for document in fleet.new_web_services.values():
        identity = document.spec.resource_id.lower()
        exists = identity not in missing
        payer = await driver.payer(identity) if exists else None
        steps = _steps(document.spec, exists=exists, payer=payer)
        needs[identity] = tuple(dict.fromkeys(need for step in steps for need in driver.needs(identity, step)))
    for model, _ in fleet.wanted_versions():
        training = fleet.models[model].spec.training
        if training is not None and training.new is not None:
            needs.setdefault(training.new.resource_id.lower(), training_needs(training.new.resource_id))
    return needs


def _steps(spec: NewWebServiceSpec, *, exists: bool, payer: str | None) -> Iterator[Step]:
    """The steps that a service's document may lead to."""
    if spec.state == "absent":
        yield _step(Action.DELETE)
        return
    if not exists and (spec.definition is not None or spec.copy_of is not None):
        yield _step(Action.CREATE)
    else:
        yield _step(Action.REPOINT)
        keys = {} if spec.keys is None else {"primary": spec.keys.primary, "secondary": spec.keys.secondary}
        changed = [Difference(field=f"{KEYS}{name}") for name, key in keys.items() if key is not None]
        if payer is not None and spec.commitment_plan is not None and payer.lower() != spec.commitment_plan.lower():
            changed.append(Difference(field=COMMITMENT_PLAN, old=payer, new=spec.commitment_plan))
        yield _step(Action.SETTINGS, changed)
    yield _step(Action.VERIFY)


def _step(action: Action, differences: list[Difference] | None = None) -> Step:
    return Step(id=str(action), action=action, subject="", cost=CostClass.FREE, differences=tuple(differences or ()))
