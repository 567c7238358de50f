"""Progress for people, on stderr: on a terminal one row per running thing, piped plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from reconciler.apply.progress import Mark, Note

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

_SYMBOL = {Mark.STARTED: "»", Mark.WAITING: "…", Mark.DONE: "✓", Mark.HELD: "‖", Mark.FAILED: "✗"}
_PLAIN = {
    Mark.STARTED: "start",
    Mark.WAITING: "wait",
    Mark.DONE: "done",
    Mark.HELD: "held",
    Mark.FAILED: "failed",
}
_BAR = 20
_FINAL = frozenset({Mark.DONE, Mark.HELD, Mark.FAILED})


class Lines:
    """Progress as plain lines: one per thing that happened, repeated waiting left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, note: Note) -> None:
        """Print the note, unless it is the last one of its subject again."""
        line = f"{note.subject}: {_PLAIN[note.mark]}: {note.text}"
        if self._last.get(note.subject) != line:
            self._last[note.subject] = line
            print(line, file=self._stream, flush=True)


class Rows:
    """Progress as live rows with a clock each; what has ended scrolls up as a line.

    ``targets`` are the names of those that the run is about; ``longest`` is how long its retrains are expected to take
    in seconds, if earlier ones tell.
    """

    def __init__(self, stream: TextIO, targets: frozenset[str], longest: float | None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream)
        self._running: dict[str, tuple[float, Note]] = {}
        self._targets = targets
        self._done: set[str] = set()
        self._longest = longest
        self._began = time.monotonic()
        self._live: Live = Live(get_renderable=self._table, console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, note: Note) -> None:
        """Update the subject's row, or end it."""
        started, _ = self._running.get(note.subject, (time.monotonic(), note))
        if note.mark in _FINAL:
            self._running.pop(note.subject, None)
            self._done |= {note.subject} & self._targets
            seconds = time.monotonic() - started
            colour = {Mark.DONE: "green", Mark.HELD: "yellow"}.get(note.mark, "red")
            self._console.print(
                f"[{colour}]{_SYMBOL[note.mark]}[/] {note.subject}  {_plain(note.text)} [dim]({seconds:.0f} s)[/]",
                highlight=False,
            )
        else:
            self._running[note.subject] = (started, note)

    def _table(self) -> Table:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        for subject, (started, note) in self._running.items():
            table.add_row(_SYMBOL[note.mark], subject, _with_bar(note), f"{now - started:.0f} s")
        if self._running:
            total = f"{len(self._done)} of {len(self._targets)} targets done, {len(self._running)} running"
            table.add_row("", f"[dim]{total}{self._left(now)}[/]", "", "")
        return table

    def _left(self, now: float) -> str:
        if self._longest is None:
            return ""
        left = self._longest - (now - self._began)
        return f", about {left:.0f} s left" if left > 0 else ", longer than the last time"


def _with_bar(note: Note) -> RenderableType:
    """A note's text, with a bar behind it where it says how far it is."""
    if note.amount is None:
        return _plain(note.text)
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    row = Table.grid(padding=(0, 1))
    share = note.amount.done / note.amount.total if note.amount.total else 1.0
    row.add_row(_plain(note.text), ProgressBar(total=1.0, completed=share, width=_BAR), f"{share:.0%}")
    return row


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def progress_on(targets: frozenset[str], longest: float | None = None) -> Lines | Rows:
    """The progress that suits stderr, as a context manager; see `Rows` for what it takes."""
    return Rows(sys.stderr, targets, longest) if sys.stderr.isatty() else Lines(sys.stderr)
