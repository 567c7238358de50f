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
        "--specs", metavar="PATH", help="A spec file or a directory of spec files; may be repeated. Default: specs."
    ),
]
CloudName = Annotated[
    str | None,
    typer.Option(
        "--cloud",
        metavar="NAME|FILE",
        envvar="RECONCILER_CLOUD",
        help="local, public, germany, or the path of a cloud file (`reconcile emulator` writes one). Default: local, "
        "the emulator in .reconciler/studio, which is started if it is not running.",
    ),
]
StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="RECONCILER_STORE",
        help="The state store: a path or sqlite:///path.",
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="NAME|LABEL=VALUE|GLOB", help="Only the targets that match; may be repeated."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Detailed = Annotated[
    bool,
    typer.Option(
        "--detailed-exitcode",
        help="With --dry-run: exit 2 if changes are pending, 4 if targets are held. Without it, --dry-run exits 0 in "
        "both cases.",
    ),
]
Output = Annotated[Format, typer.Option("--output", metavar="text|json|markdown", help="The format to print in.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Also write the plan to FILE: *.json as JSON for `reconcile apply`, *.md as Markdown, any other name in "
        "the format of --output.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Apply the plan without asking for approval.")]
Force = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="RULE", help="Override a rule: gate, gate:TARGET or prune:SET; may be repeated."),
]
Unfold = Annotated[
    list[str] | None,
    typer.Option("--unfold", metavar="SET", help="List each endpoint of this set; may be repeated."),
]
Probes = Annotated[
    int,
    typer.Option(
        "--probes",
        min=0,
        metavar="N",
        help="Score up to N targets with sample rows to detect drift that the service does not report; 0 turns this "
        "off.",
    ),
]
AsListing = Annotated[Listing, typer.Option("--output", metavar="text|json", help="The format to print in.")]


def is_subscription(text: str) -> bool:
    """Whether a text is the id of a subscription."""
    return re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text) is not None
