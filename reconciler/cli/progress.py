"""Progress on stderr: a live row for each running target or training on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from reconciler.apply.progress import ProgressEvent, ProgressState
from reconciler.plan.text import count, printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

_SYMBOL = {
    ProgressState.STARTED: "»",
    ProgressState.WAITING: "…",
    ProgressState.DONE: "✓",
    ProgressState.HELD: "‖",
    ProgressState.FAILED: "✗",
}
_PLAIN = {
    ProgressState.STARTED: "start",
    ProgressState.WAITING: "wait",
    ProgressState.DONE: "done",
    ProgressState.HELD: "held",
    ProgressState.FAILED: "failed",
}
_BAR = 20
MANY = 40
"""With more targets than this, finished ones are counted, and only held and failed ones have lines of their own."""
_FINAL = frozenset({ProgressState.DONE, ProgressState.HELD, ProgressState.FAILED})


class Tally:
    """Counts the targets and the trainings of a run that have ended."""

    def __init__(self, targets: frozenset[str]) -> None:
        self._targets = targets
        self._ended: dict[str, ProgressState] = {}
        self._trained: set[str] = set()
        self.many = len(targets) > MANY

    def take(self, event: ProgressEvent) -> bool:
        """Count an event, and return whether it is the end of a target."""
        if event.mark not in _FINAL:
            return False
        if event.subject not in self._targets:
            if event.mark is ProgressState.DONE:
                self._trained.add(event.subject)
            return False
        first = event.subject not in self._ended
        self._ended[event.subject] = event.mark
        return first

    @property
    def is_round(self) -> bool:
        """Whether another twentieth of the targets has ended, or all have."""
        done, total = len(self._ended), len(self._targets)
        return done == total or done % max(1, total // 20) == 0

    @property
    def text(self) -> str:
        """``412/1,000 targets, 430 versions trained, 3 failed``."""
        marks = list(self._ended.values())
        parts = [f"{len(marks):,}/{count(len(self._targets), 'target')}"]
        if self._trained:
            parts.append(f"{count(len(self._trained), 'version')} trained")
        parts += [
            f"{marks.count(mark):,} {mark.value}"
            for mark in (ProgressState.FAILED, ProgressState.HELD)
            if mark in marks
        ]
        return ", ".join(parts)


class Lines:
    """Progress as plain lines: one for each event; a repeated event is not printed again.

    With many targets there is a line for each twentieth of them that has ended, and one for each held or failed target.
    """

    def __init__(self, stream: TextIO, targets: frozenset[str] = frozenset()) -> None:
        self._stream = stream
        self._last: dict[str, str] = {}
        self._tally = Tally(targets)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: ProgressEvent) -> None:
        """Print the event, unless it repeats the last one of its subject."""
        ended = self._tally.take(event)
        if self._tally.many and event.mark not in {ProgressState.HELD, ProgressState.FAILED}:
            if ended and self._tally.is_round:
                print(self._tally.text, file=self._stream, flush=True)
            return
        line = f"{event.subject}: {_PLAIN[event.mark]}: {printable(event.text)}"
        if self._last.get(event.subject) != line:
            self._last[event.subject] = line
            print(line, file=self._stream, flush=True)


class Rows:
    """Progress as live rows with a clock each; what has ended scrolls up as a line.

    ``targets`` are the names of the targets of the run; ``longest`` is how many seconds its training jobs are expected
    to take, None if that is unknown.
    """

    def __init__(self, stream: TextIO, targets: frozenset[str], longest: float | None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream)
        self._running: dict[str, tuple[float, ProgressEvent]] = {}
        self._tally = Tally(targets)
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

    def __call__(self, event: ProgressEvent) -> None:
        """Update the row of the event's subject, or end it."""
        started, _ = self._running.get(event.subject, (time.monotonic(), event))
        self._tally.take(event)
        if event.mark in _FINAL:
            self._running.pop(event.subject, None)
            if self._tally.many and event.mark is ProgressState.DONE:
                return
            seconds = time.monotonic() - started
            colour = {ProgressState.DONE: "green", ProgressState.HELD: "yellow"}.get(event.mark, "red")
            self._console.print(
                f"[{colour}]{_SYMBOL[event.mark]}[/] {event.subject}  {_plain(event.text)} [dim]({seconds:.0f} s)[/]",
                highlight=False,
            )
            return
        begun = event.subject not in self._running
        self._running[event.subject] = (started, event)
        if begun and not self._tally.many:
            self._live.refresh()  # Otherwise a row that ends before the next redraw would never be shown.

    def _table(self) -> Table:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        # As many rows as the terminal has room for, the longest running first.
        room = max(3, self._console.height - 4)
        for subject, (started, event) in list(self._running.items())[:room]:
            table.add_row(_SYMBOL[event.mark], subject, _with_bar(event), f"{now - started:.0f} s")
        if self._running:
            total = f"{self._tally.text}, {len(self._running):,} running"
            table.add_row("", f"[dim]{total}{self._left(now)}[/]", "", "")
        return table

    def _left(self, now: float) -> str:
        if self._longest is None:
            return ""
        left = self._longest - (now - self._began)
        return f", about {left:.0f} s left" if left > 0 else ", longer than estimated"


def _with_bar(event: ProgressEvent) -> RenderableType:
    """Return the text of an event, with a progress bar if its amount is known."""
    if event.amount is None:
        return _plain(event.text)
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    row = Table.grid(padding=(0, 1))
    share = event.amount.done / event.amount.total if event.amount.total else 1.0
    row.add_row(_plain(event.text), ProgressBar(total=1.0, completed=share, width=_BAR), f"{share:.0%}")
    return row


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))


def progress_on(targets: frozenset[str], longest: float | None = None) -> Lines | Rows:
    """Return a progress display for stderr, as a context manager; `Rows` says what the arguments are."""
    return Rows(sys.stderr, targets, longest) if sys.stderr.isatty() else Lines(sys.stderr, targets)
