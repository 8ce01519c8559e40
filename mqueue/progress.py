"""How far a load or a save is: the call that Persistence makes, and a bar for people."""

from __future__ import annotations

import logging
import sys
from time import monotonic
from typing import Protocol

log = logging.getLogger("mqueue")

_REDRAW = 0.1  # seconds between two states of the bar: more than the eye takes in costs time


class Progress(Protocol):
    """Told now and then how many of a queue's items are done. The last call has done == total, unless something failed."""

    def __call__(self, queue: str, done: int, total: int, /) -> None:
        """`done` of `total` items of `queue` are loaded, or saved."""


class Bar:
    """A progress bar on stderr for what takes more than `after` seconds; one line in the log where stderr is no terminal."""

    def __init__(self, after: float = 1.0) -> None:
        self._after = after
        self._queue: str | None = None
        self._next = 0.0
        self._shown = False

    def __call__(self, queue: str, done: int, total: int, /) -> None:
        """Draw, when it is time to."""
        now = monotonic()
        if queue != self._queue:
            self._queue, self._next, self._shown = queue, now + self._after, False
        ends = done >= total
        if now >= self._next or (ends and self._shown):
            self._next = now + _REDRAW
            self._show(queue, done, total, ends)
        if ends:
            self._queue = None

    def _show(self, queue: str, done: int, total: int, ends: bool) -> None:
        if sys.stderr.isatty():
            _draw(queue, done, total, "\n" if ends else "\r")
        elif not self._shown:
            log.info("queue %s: %d of %d items done", queue, done, total)
        self._shown = True


def _draw(queue: str, done: int, total: int, end: str) -> None:
    from rich.console import Console  # here, since hardly anybody waits that long
    from rich.progress_bar import ProgressBar

    console = Console(stderr=True, highlight=False)
    console.print(f"queue {queue} ", end="", markup=False)
    console.print(ProgressBar(total=total, completed=done, width=40), end="")
    console.print(f" {done:,} of {total:,}", end=end)
