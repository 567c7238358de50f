"""``reconcile doctor``: checks of everything that a run needs. Changes nothing, and works with an unfinished setup."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import options
from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.local_studio import the_cloud
from reconciler.cli.options import DEFAULT_SPECS, Listing
from reconciler.plan.text import count, printable
from reconciler.spec.diagnostics import SpecError

if TYPE_CHECKING:
    from reconciler.plan.checks.result import Check
    from reconciler.spec.fleet import Fleet

_WIDTH = 110
_COLOURS = {"ok": "32", "warning": "33", "failed": "31", "unknown": "35", "skipped": "2"}


def doctor(
    specs: options.Specs = None,
    cloud: options.CloudName = None,
    select: options.Select = None,
    output: options.AsListing = Listing.TEXT,
) -> ExitCode:
    """Check sign-in, hosts, permissions, storage and quotas.

    Also checks clocks, keys and commitment plans. Changes nothing. Exits 1 if a check failed, else 0.
    """
    import asyncio

    from reconciler.azure.errors import CloudError
    from reconciler.plan.checks.result import Check, CheckOutcome
    from reconciler.preflight.doctor import examine
    from reconciler.spec.secrets import SecretResolver

    fleet, checks = _specs(specs or (), select or ())
    try:
        with the_cloud(cloud) as found:
            secrets = SecretResolver(os.environ, found.env_file)
            checks += asyncio.run(examine(fleet, found, secrets, lambda: datetime.now(UTC)))
    except (CloudError, UserError) as error:
        checks.append(Check(name="cloud", subject=cloud or "local", outcome=CheckOutcome.FAILED, text=str(error)))
    failed = any(check.outcome is CheckOutcome.FAILED for check in checks)
    if output is Listing.JSON:
        body = {
            "outcome": "failed" if failed else "ok",
            "checks": [check.model_dump(mode="json") for check in checks],
        }
        print(json.dumps(body, indent=2))
    else:
        print("\n".join(_lines(checks, color=sys.stdout.isatty() and "NO_COLOR" not in os.environ)))
    return ExitCode.ERROR if failed else ExitCode.OK


def _specs(paths: Sequence[Path], select: Sequence[str]) -> tuple[Fleet, list[Check]]:
    """Return the valid and selected part of the specs, and the errors of the rest."""
    from reconciler.plan.checks.result import Check, CheckOutcome
    from reconciler.spec.fleet import load_sound
    from reconciler.targets import kinds

    fleet, errors = load_sound(paths or (DEFAULT_SPECS,), kinds.documents(), *kinds.rules())
    checks = [
        Check(
            name="specs",
            subject=str(error.position),
            outcome=CheckOutcome.FAILED,
            text=f"{error.field}: {error.summary}" if error.field else error.summary,
            remedy=error.remedy or error.detail,
        )
        for error in errors
    ]
    if not errors:
        text = f"{count(len(fleet.targets), 'target')}, revision {fleet.revision}"
        subject = ", ".join(map(str, paths or (DEFAULT_SPECS,)))
        checks.append(Check(name="specs", subject=subject, outcome=CheckOutcome.OK, text=text))
    try:
        return fleet.select(select).used_workspaces() if select else fleet, checks
    except SpecError as error:
        failed = Check(name="specs", subject="--select", outcome=CheckOutcome.FAILED, text=str(error))
        return fleet, [*checks, failed]


def _lines(checks: Sequence[Check], *, color: bool) -> Iterator[str]:
    names = max(len(check.name) for check in checks)
    for check in checks:
        outcome = f"{check.outcome:<8}"
        shown = f"\033[{_COLOURS[check.outcome]}m{outcome}\033[0m" if color else outcome
        head = f"{check.name:<{names}}  "
        indent = " " * (len(outcome) + 1 + len(head))
        body = textwrap.wrap(
            printable(f"{check.subject}: {check.text}"),
            max(_WIDTH - len(indent), 40),
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield f"{shown} {head}{body[0] if body else ''}"
        yield from (indent + line for line in body[1:])
        if check.remedy:
            wrapped = textwrap.wrap(
                printable(f"remedy: {check.remedy}"),
                max(_WIDTH - len(indent), 40),
                break_long_words=False,
            )
            yield from (indent + line for line in wrapped)
    yield ""
    counted: Counter[str] = Counter(check.outcome for check in checks)
    yield ", ".join(f"{counted[outcome]:,} {outcome}" for outcome in _COLOURS if counted[outcome])
