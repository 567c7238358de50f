"""Whether a signature that we were given holds until a step that hands it on is through."""

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
_RENEW = f"make one that holds for longer than {_LONGEST}"
_FRACTION = re.compile(r"(\.\d{6})\d+")


def read_signature(subject: str, token: str) -> Signature:
    """What a signature (``?sv=…``) says of itself. Nothing of it but its times is kept."""
    given = {name: values[0] for name, values in parse_qs(token.strip().lstrip("?")).items()}
    reads = "r" in given["sp"] if "sp" in given else None
    return Signature(subject, _time(given.get("st")), _time(given.get("se")), reads)


def judge_signatures(signatures: Mapping[Signature, frozenset[str]], now: datetime) -> Iterator[Finding]:
    """One finding for each signature.

    Args:
        signatures: Each with the ids of the steps that hand it on.
        now: The time of the plan.
    """
    for signature, steps in sorted(signatures.items(), key=lambda item: item[0].subject):
        check, unsafe = _judge(signature, now)
        yield Finding.of(check, steps if check.outcome is CheckOutcome.FAILED else (), unsafe=unsafe)


def check_signature(signature: Signature, now: datetime) -> Check:
    """Whether it could be handed on now."""
    return _judge(signature, now)[0]


def _judge(signature: Signature, now: datetime) -> tuple[Check, bool]:
    """The check, and whether it may be tried but should not."""
    trouble, remedy = _trouble(signature, now)
    if trouble:
        return _check(signature, CheckOutcome.FAILED, trouble, remedy), False
    if signature.ends is None:
        text = "its SAS does not say when it ends: a stored access policy does"
        return _check(signature, CheckOutcome.UNKNOWN, text), False
    if signature.ends < now + UPDATE_TAKES:
        text = f"its SAS ends on {_shown(signature.ends)}, and an update may take {_LONGEST}"
        return _check(signature, CheckOutcome.FAILED, text, _RENEW), True
    return _check(signature, CheckOutcome.OK, f"its SAS holds until {_shown(signature.ends)}"), False


def _trouble(signature: Signature, now: datetime) -> tuple[str, str]:
    """Why the service can't read by it now, and what to do; empty if it can."""
    if signature.problem:
        return signature.problem, ""
    if signature.reads is False:
        return "its SAS does not grant reading (sp has no r)", "make one that does"
    if signature.ends is not None and signature.ends <= now:
        return f"its SAS ended on {_shown(signature.ends)}", _RENEW
    if signature.begins is not None and signature.begins > now:
        return f"its SAS holds from {_shown(signature.begins)} only", "wait until then, or make one that holds now"
    return "", ""


def _check(signature: Signature, outcome: CheckOutcome, text: str, remedy: str = "") -> Check:
    return Check(name="signature", subject=signature.subject, outcome=outcome, text=text, remedy=remedy)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _time(value: str | None) -> datetime | None:
    """A time of a signature: a date, or a moment to the minute, second or a fraction of it; UTC."""
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
