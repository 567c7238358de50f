"""Judges whether a storage account accepts its key, and what is signed with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.plan.checks.clocks import breaks_signatures, check_clock
from reconciler.plan.checks.facts import Finding, Storage
from reconciler.plan.checks.result import Check, CheckOutcome


def judge_storage(storage: Mapping[Storage, frozenset[str]]) -> Iterator[Finding]:
    """Yield the findings on each account: its key, and its clock where that matters.

    Args:
        storage: Each with the ids of the steps that write to it, or sign with its key.
    """
    for account, using in sorted(storage.items(), key=lambda item: item[0].subject):
        off = breaks_signatures(account.ahead)
        check = check_storage(account)
        if not (off and account.problem):  # A clock that is off explains a refusal, and the key may be right.
            yield Finding.of(check, using if check.outcome is CheckOutcome.FAILED else ())
        if account.ahead is not None:
            yield Finding.of(check_clock(_clock_of(account), account.ahead), using if off else ())


def check_storage(account: Storage) -> Check:
    """Return whether an account accepts its key."""
    if account.problem:
        return _check(account, CheckOutcome.FAILED, account.problem, account.remedy)
    if account.unreached:
        return _check(account, CheckOutcome.WARNING, f"not reachable from this machine now: {account.unreached}")
    if account.warning:
        return _check(account, CheckOutcome.WARNING, account.warning, account.remedy)
    which = "both keys" if account.keys == 2 else "the key of its document, one of the account's two"
    return _check(account, CheckOutcome.OK, f"{account.base} accepts {which}")


def _clock_of(account: Storage) -> str:
    return f"storage of {account.subject}"


def _check(account: Storage, outcome: CheckOutcome, text: str, remedy: str = "") -> Check:
    return Check(name="storage", subject=account.subject, outcome=outcome, text=text, remedy=remedy)
