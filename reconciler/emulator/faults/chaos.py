"""A seeded mix of faults, as on a bad day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final

from pydantic import ValidationError

from reconciler.emulator.faults.rule_file import RuleFile
from reconciler.emulator.faults.rules import Answer, JobFault, Rule, Trickle

PREFIX: Final = "chaos-"
"""What the names of the mix's rules start with."""


def mix(seed: int, share: float, lasts: timedelta | None = None) -> RuleFile:
    """Return rules that together hit about a share of all requests, and of all jobs.

    Nothing in it is for ever: a job that hangs goes on, and a blob is never lost, so that whoever tries again gets
    there in the end.

    Args:
        seed: chooses how much there is of each fault, and what each of them hits.
        share: above 0, at most 1.
        lasts: after this time the rules end by themselves.
    """
    random = Random(seed)  # noqa: S311 - it has to be repeatable, not secret
    kinds = _kinds(random)
    weights = [random.uniform(0.2, 1.0) for _ in kinds]
    # A kind of fault never hits nothing: what is rounded away would not be what was asked for.
    shares = [max(round(share * weight / sum(weights), 4), 0.0001) for weight in weights]
    jobs = _jobs()
    return RuleFile(
        seed=seed,
        rules=tuple(
            Rule(name=f"{PREFIX}{name}", share=part, lasts=lasts, **members)
            for (name, members), part in zip(kinds, shares, strict=True)
        )
        + tuple(
            Rule(name=f"{PREFIX}{name}", share=max(round(share / len(jobs), 4), 0.0001), lasts=lasts, job=fault)
            for name, fault in jobs
        ),
    )


def retirement(form: str, lasts: timedelta | None = None) -> RuleFile:
    """Return the rule by which the whole service has ended, in one of the forms of `Rule.retired`.

    Raises:
        ValueError: there is no such form.
    """
    try:
        rule = Rule.model_validate({"name": f"{PREFIX}retired", "retired": form, "lasts": lasts})
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from error
    return RuleFile(rules=(rule,))


def _kinds(random: Random) -> Sequence[tuple[str, dict[str, Any]]]:
    execution = ("batch.*", "rrs.*")
    return (
        ("throttled", {"operation": execution, "answer": Answer(code="RequestThrottled")}),
        ("starting", {"operation": "rrs.execute", "answer": Answer(code="InitializingContainers")}),
        (
            "internal-error",
            {"operation": ("management.*", "arm.*"), "answer": Answer(status=500, code="InternalError")},
        ),
        ("gateway-timeout", {"answer": Answer(status=504, code="BackendScoreTimeout", after_work=True)}),
        ("too-many", {"operation": "arm.*", "answer": Answer(code="TooManyRequests", headers={"Retry-After": "1"})}),
        ("storage-busy", {"operation": "storage.*", "answer": Answer(code="ServerBusy")}),
        ("drop-before", {"drop": "before"}),
        ("drop-after", {"drop": "after"}),
        ("slow", {"delay": timedelta(milliseconds=random.randrange(50, 500))}),
        ("slow-reply", {"delay_reply": timedelta(milliseconds=random.randrange(50, 500))}),
        ("cut", {"cut": 0.5}),
        ("broken", {"body": "broken"}),
        ("html", {"body": "html"}),
        ("wrong-type", {"content_type": "text/plain"}),
        ("trickle", {"trickle": Trickle(every=timedelta(milliseconds=5), bytes=1000)}),
    )


def _jobs() -> Sequence[tuple[str, JobFault]]:
    return (
        ("job-fails", JobFault(fail="ModuleExecutionFailed")),
        ("worker-dies", JobFault(worker_dies=True)),
        ("job-without-output", JobFault(omit=("*",))),
    )
