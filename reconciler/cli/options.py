"""The options that several commands share, written once."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_SPECS = Path("specs")
DEFAULT_STORE = ".reconciler/state.db"


class Format(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class Listing(StrEnum):
    """How status and history are printed."""

    TEXT = "text"
    JSON = "json"


Specs = Annotated[
    list[Path] | None,
    typer.Option(
        "--specs", metavar="PATH", help="A spec file or a directory of them; may be repeated. Default: specs."
    ),
]
CloudName = Annotated[
    str | None,
    typer.Option(
        "--cloud",
        metavar="NAME|FILE",
        envvar="RECONCILER_CLOUD",
        help="local, public, germany, or a cloud file such as `reconcile emulator` writes. Default: local, a Studio of "
        "your own under .reconciler/studio that is started when none is running.",
    ),
]
StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="RECONCILER_STORE",
        help="Where the store is: a path or sqlite:///path.",
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="NAME|label=value|glob", help="Only these targets; may be repeated."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing anywhere.")]
Detailed = Annotated[
    bool,
    typer.Option(
        "--detailed-exitcode",
        help="With --dry-run: exit 2 when changes are pending, 4 when targets are held.",
    ),
]
Output = Annotated[Format, typer.Option("--output", help="How to print the plan.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Also write the plan to FILE: *.json as JSON (what `reconcile apply` takes), *.md as Markdown, else as "
        "--output says.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Carry the plan out without asking.")]
Force = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="RULE", help="Override a rule: gate, gate:TARGET or prune:SET; may be repeated."),
]
Unfold = Annotated[
    list[str] | None,
    typer.Option("--unfold", metavar="SET", help="Show this set endpoint by endpoint; may be repeated."),
]
Probes = Annotated[
    int,
    typer.Option(
        "--probes",
        min=0,
        help="Score at most so many targets to see drift that the service does not show; 0 for none.",
    ),
]
AsListing = Annotated[Listing, typer.Option("--output", help="How to print it.")]


def is_subscription(text: str) -> bool:
    """Whether a text is the id of a subscription."""
    return re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text) is not None
