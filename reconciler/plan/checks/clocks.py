"""Whether our clock and a server's agree well enough for signatures."""

from __future__ import annotations

from datetime import timedelta

from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.text import duration

BACKDATED = timedelta(minutes=5)
"""By how much the signatures that we make begin before they are made, because clocks differ."""
SHARED_KEY = timedelta(minutes=15)
"""How far storage lets the time of a request that is signed with the account's key be off."""
_WORTH_A_WORD = timedelta(minutes=1)

_REMEDY = "set this machine's clock by a time server (NTP)"


def breaks_signatures(ahead: timedelta | None) -> bool:
    """Whether a server whose clock is so far ahead of ours refuses what we sign."""
    return ahead is not None and (ahead < -BACKDATED or ahead > SHARED_KEY)


def check_clock(subject: str, ahead: timedelta | None) -> Check:
    """What to think of a difference.

    Args:
        subject: Whose clock it is.
        ahead: By how much it is ahead of ours; None if that is not known.
    """
    if ahead is None:
        return Check(name="clock", subject=subject, outcome=CheckOutcome.UNKNOWN, text="it does not tell its time")
    # To the minute: what stops a target has to read the same in two plans of one world.
    minutes = round(abs(ahead).total_seconds() / 60)
    ours = f"our clock is about {minutes} min {'behind' if ahead > timedelta() else 'ahead of'} its"
    if breaks_signatures(ahead):
        text = f"{ours}: it refuses what is signed by ours"
        return Check(name="clock", subject=subject, outcome=CheckOutcome.FAILED, text=text, remedy=_REMEDY)
    if abs(ahead) > BACKDATED:
        text = f"{ours}: signatures that we make end so much sooner"
        return Check(name="clock", subject=subject, outcome=CheckOutcome.WARNING, text=text, remedy=_REMEDY)
    if abs(ahead) > _WORTH_A_WORD:
        text = f"{ours}; more than {duration(BACKDATED.total_seconds())} would break signatures"
        return Check(name="clock", subject=subject, outcome=CheckOutcome.WARNING, text=text, remedy=_REMEDY)
    text = f"our clock and its agree to {duration(max(1.0, abs(ahead).total_seconds()))}"
    return Check(name="clock", subject=subject, outcome=CheckOutcome.OK, text=text)
