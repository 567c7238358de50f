"""Scoring a target to learn what it serves, where the service does not tell.

Answers are compared as text: the digest of the rows that were asked, a colon, the digest of what was answered. Only
answers to the same rows compare.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from reconciler.azure.errors import ServiceError, SwaggerError
from reconciler.azure.execution.scoring import Scoring, answers_digest, probe_rows
from reconciler.spec.documents import Probe
from reconciler.targets.polling import pauses

Row = Mapping[str, Any]
Rows: TypeAlias = tuple[str, Sequence[Row]]
"""Rows to score, with the name of the input that they are for."""


async def made_rows(scoring: Scoring) -> Rows:
    """Rows made from a service's swagger, which is asked for.

    Raises:
        ServiceError, SwaggerError: it cannot be had, or names no columns.
    """
    return probe_rows(await scoring.swagger())


async def score(scoring: Scoring, probe: Probe | None, made: Callable[[], Awaitable[Rows]]) -> str | None:
    """Return the target's answers as text that compares, or None when it cannot be scored.

    Rows come from the spec's probe, else from ``made``, which is then asked for them (`made_rows`).
    """
    try:
        rows: Sequence[Row] = () if probe is None else probe.rows
        if probe is None or probe.input is None:
            input_name, others = await made()
            rows = rows or others
        else:
            input_name = probe.input
        if not rows:
            return None
        answers = await scoring.execute(input_name, rows)
    except (ServiceError, SwaggerError):
        # A target that cannot be scored is not thereby broken (its probe may be): nothing is known, and that is said.
        return None
    asked = hashlib.sha256(json.dumps([input_name, list(rows)], sort_keys=True, default=str).encode()).hexdigest()
    return f"{asked[:16]}:{answers_digest(answers)}"


def comparable(one: str | None, other: str | None) -> bool:
    """Whether both are answers to the same rows."""
    return one is not None and other is not None and one.partition(":")[0] == other.partition(":")[0]


async def until_changed(
    ask: Callable[[], Awaitable[str | None]], before: str, *, settle: timedelta, first_pause: timedelta
) -> str | None:
    """Score again until the answers are others than ``before``, for at most ``settle``; gives the last answers.

    A service takes a new model into use some time after it accepted it (about 30 s: classic-protocol 1.7).
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + settle.total_seconds()
    tried = 0
    while True:
        # The last question is asked when the time is over: one that was asked before and answered late tells nothing.
        last = loop.time() >= end
        answers = await ask()
        if last or (comparable(before, answers) and answers != before):
            return answers
        tried += 1
        pause = pauses(first_pause).delay(tried, 0.5).total_seconds()
        await asyncio.sleep(min(pause, max(end - loop.time(), 0.0)))
