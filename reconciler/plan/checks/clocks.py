"""Judges whether this machine's clock agrees with a server's well enough for signatures."""

from __future__ import annotations

from datetime import timedelta

from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.text import duration

BACKDATED = timedelta(minutes=5)
"""By how much signatures begin before they are made, because clocks differ."""
SHARED_KEY = timedelta(minutes=15)
"""How far the time of a request that is signed with the account's key may differ from storage's."""
_WORTH_A_WORD = timedelta(minutes=1)

_REMEDY = "Set this machine's clock by a time server (NTP)"


def breaks_signatures(ahead: timedelta | None) -> bool:
    """Return whether a server whose clock is so far ahead refuses signatures of this machine."""
    return ahead is not None and (ahead < -BACKDATED or ahead > SHARED_KEY)


def check_clock(subject: str, ahead: timedelta | None) -> Check:
    """Return the check of a clock difference.

    Args:
        subject: Whose clock it is.
        ahead: By how much it is ahead of skew; None if that is not known.
    """
    if ahead is None:
        return Check(
            name="clock", subject=subject, outcome=CheckOutcome.UNKNOWN, text="the server does not report its time"
        )
    # To the minute: what stops a target has to read the same in two plans of one world.
    minutes = round(abs(ahead).total_seconds() / 60)
    skew = f"this machine's clock is about {minutes} min {'behind' if ahead > timedelta() else 'ahead of'} the server's"
    if breaks_signatures(ahead):
        text = f"{skew}: signatures made here are refused"
        return Check(name="clock", subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=_REMEDY)
    if abs(ahead) > BACKDATED:
        text = f"{skew}: signatures made here end that much sooner"
        return Check(name="clock", subject=subject, outcome=CheckOutcome.WARNING, text=text, remedy=_REMEDY)
    if abs(ahead) > _WORTH_A_WORD:
        text = f"{skew}; more than {duration(BACKDATED.total_seconds())} would break signatures"
        return Check(name="clock", subject=subject, outcome=CheckOutcome.WARNING, text=text, remedy=_REMEDY)
    text = f"clock skew: at most {duration(max(1.0, abs(ahead).total_seconds()))}"
    return Check(name="clock", subject=subject, outcome=CheckOutcome.OK, text=text)
