"""What is recorded of a target: how the last try went, and what it was brought to."""

from __future__ import annotations

from dataclasses import replace

from reconciler.apply.run import Run
from reconciler.plan.document import TargetPlan
from reconciler.plan.states import Converged, Use
from reconciler.store import LastOutcome, Lease, ServedModel, TargetRecord
from reconciler.targets.contract import Artefacts, Verified


def serves_words(plan: TargetPlan) -> str:
    """What a target is brought to by its plan, for people."""
    return f"serves {plan.desired}" if plan.models else "has its settings"


def served_words(converged: Converged) -> str:
    """What a target was brought to, for people."""
    return ", ".join(str(served.version) for served in converged.serves.values()) or "its settings"


def remember(run: Run, lease: Lease, plan: TargetPlan, outcome: LastOutcome, text: str) -> None:
    """Record how the last try went; what the target was converged to before stays."""
    earlier = run.store.target(plan.identity)
    record = TargetRecord(
        identity=plan.identity,
        name=plan.name,
        kind=plan.kind,
        last_outcome=outcome,
        last_message=text,
        last_at=run.clock(),
    )
    if earlier is not None:
        record = replace(earlier, name=plan.name, last_outcome=outcome, last_message=text, last_at=record.last_at)
    repeated = earlier is not None and (earlier.last_outcome, earlier.last_message) == (outcome, text)
    with run.store.fenced(lease) as transaction:
        transaction.put_target(record)
        if not repeated:  # An event when something happens, none when nothing does.
            transaction.add_event(
                run_id=run.run_id, subject=plan.name, action="converge", outcome=outcome, message=text
            )


def record_converged(
    run: Run,
    lease: Lease,
    plan: TargetPlan,
    artefacts: Artefacts,
    verified: Verified,
    *,
    steps: tuple[str, ...] = (),
) -> None:
    """Record what a target was brought to, and what carrying out ``steps`` showed of it."""
    now = run.clock()
    record = TargetRecord(
        identity=plan.identity,
        name=plan.name,
        kind=plan.kind,
        models=tuple(
            ServedModel(
                resource=resource,
                model=artefact.key.model,
                label=artefact.key.label,
                fingerprint=artefact.fingerprint,
                base_location=shown.base,
                relative_location=shown.relative,
            )
            for resource, artefact in artefacts.items()
            for shown in (verified.shown.get(resource, artefact.location),)
        ),
        answers=verified.answers,
        proof=verified.proof.value,
        not_taken=dict(verified.not_taken),
        written=dict(run.targets[plan.identity].write_only),
        converged_at=now,
        last_outcome="converged",
        last_message=verified.text,
        last_at=now,
    )
    with run.store.fenced(lease) as transaction:
        transaction.put_target(record)
        transaction.add_event(
            run_id=run.run_id,
            subject=plan.name,
            action="converge",
            outcome="converged",
            message=f"{serves_words(plan)}, {verified.proof.value}: {verified.text}",
            details={
                "version": plan.desired,
                "from": plan.live,
                "proof": verified.proof.value,
                "steps": list(steps),
                "reasons": [reason.text for reason in plan.reasons],
            },
        )


def is_recorded(converged: Converged, use: Use) -> bool:
    """Whether a record says that a resource was brought to the version that it is to serve."""
    served = converged.served(use.resource)
    return served is not None and served.version == use.version
