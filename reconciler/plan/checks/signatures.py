"""Judges whether a given signature holds until the step that passes it on has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from reconciler.plan.checks.facts import Finding, Signature
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.text import duration

UPDATE_TAKES = timedelta(minutes=15)
"""How long an update may take until it is given up; the service reads the artifact meanwhile (new-protocol 3)."""

_LONGEST = duration(UPDATE_TAKES.total_seconds())
_RENEW = f"Create a SAS that is valid for longer than {_LONGEST}"
_FRACTION = re.compile(r"(\.\d{6})\d+")


def read_signature(subject: str, token: str) -> Signature:
    """Return what a signature (``?sv=…``) says about itself; only its times are kept."""
    given = {name: values[0] for name, values in parse_qs(token.strip().lstrip("?")).items()}
    reads = "r" in given["sp"] if "sp" in given else None
    return Signature(subject, _time(given.get("st")), _time(given.get("se")), reads)


def judge_signatures(signatures: Mapping[Signature, frozenset[str]], now: datetime) -> Iterator[Finding]:
    """Yield one finding for each signature.

    Args:
        signatures: Each with the ids of the steps that hand it on.
        now: The time of the plan.
    """
    for signature, steps in sorted(signatures.items(), key=lambda item: item[0].subject):
        check, unsafe = _judge(signature, now)
        yield Finding.of(check, steps if check.outcome is CheckOutcome.FAILED else (), unsafe=unsafe)


def check_signature(signature: Signature, now: datetime) -> Check:
    """Return whether a signature could be passed on now."""
    return _judge(signature, now)[0]


def _judge(signature: Signature, now: datetime) -> tuple[Check, bool]:
    """Return the check, and whether the step is possible but unsafe."""
    trouble, remedy = _trouble(signature, now)
    if trouble:
        return _check(signature, CheckOutcome.FAILED, trouble, remedy), False
    if signature.ends is None:
        text = "the end of its SAS is unknown: a stored access policy sets it"
        return _check(signature, CheckOutcome.UNKNOWN, text), False
    if signature.ends < now + UPDATE_TAKES:
        text = f"its SAS ends on {_shown(signature.ends)}, and an update may take {_LONGEST}"
        return _check(signature, CheckOutcome.FAILED, text, _RENEW), True
    return _check(signature, CheckOutcome.OK, f"its SAS is valid until {_shown(signature.ends)}"), False


def _trouble(signature: Signature, now: datetime) -> tuple[str, str]:
    """Return why the service cannot read with it now, and the remedy; empty if it can."""
    if signature.problem:
        return signature.problem, ""
    if signature.reads is False:
        return "its SAS does not grant reading (sp has no r)", "Create a SAS with read permission"
    if signature.ends is not None and signature.ends <= now:
        return f"its SAS ended on {_shown(signature.ends)}", _RENEW
    if signature.begins is not None and signature.begins > now:
        return (
            f"its SAS is not valid before {_shown(signature.begins)}",
            "Wait until then, or create a SAS that is valid now",
        )
    return "", ""


def _check(signature: Signature, outcome: CheckOutcome, text: str, remedy: str = "") -> Check:
    return Check(name="signature", subject=signature.subject, outcome=outcome, text=text, remedy=remedy)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _time(value: str | None) -> datetime | None:
    """Return a time of a signature: a date, or a moment to the minute, second or a fraction of it; UTC."""
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
