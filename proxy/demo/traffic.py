"""The load of the demo: several scenarios at once, shown while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proxy.demo.child import Child
from proxy.demo.picture import line
from proxy.load.choice import Send
from proxy.load.job import Job
from proxy.load.result import Result, Sample

_LINE_EVERY = 2.0  # seconds between plain lines
_REFRESH = 0.1  # seconds
_BAR = 24  # columns
_DEPTHS = 56  # columns


class Screen:
    """What is seen while loads run: on a terminal a table that changes, else a line now and then."""

    def __init__(self, console: Console, child: Child, jobs: Sequence[Job]) -> None:
        self.samples = dict.fromkeys(jobs, Sample())
        self._console = console
        self._child = child
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._next_line = _LINE_EVERY

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    async def refresh(self) -> None:
        """Show how it is until cancelled."""
        while True:
            await asyncio.sleep(_REFRESH)
            if self._live:
                self._live.update(self._picture(), refresh=True)
            elif (seconds := max((sample.seconds for sample in self.samples.values()), default=0)) >= self._next_line:
                self._next_line = seconds + _LINE_EVERY
                self._console.print(self._words(seconds))

    def _words(self, seconds: float) -> str:
        answered = sum(sample.succeeded for sample in self.samples.values())
        failed = sum(sample.failed for sample in self.samples.values())
        return f"{seconds:5.0f} s  {answered:,} calls answered, {failed:,} failed, {self._child.last.size:,} items on the queue"

    def _picture(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for job, sample in self.samples.items():
            done = round((sample.succeeded + sample.failed) / job.calls * _BAR)
            full, empty = ("█", "░") if self._console.options.encoding.startswith("utf") else ("#", ".")
            failed = f"[red]{sample.failed:,} failed[/]" if sample.failed else ""
            table.add_row(title(job), f"[green]{full * done}[/]{empty * (_BAR - done)}", f"{sample.succeeded:,} answered", failed)
        unicode = self._console.options.encoding.startswith("utf")
        depths = line([moment.size for moment in self._child.moments], _DEPTHS, unicode)
        return Group(table, Text(f"queue {self._child.last.size:>7,}  {depths}", style="cyan"))


async def send_all(console: Console, child: Child, jobs: Sequence[Job], send: Send, stop: asyncio.Event) -> list[Result]:
    """Run the loads side by side; their results in the same order. LoadError when one cannot run."""
    with Screen(console, child, jobs) as screen:

        def run(job: Job) -> asyncio.Future[Result]:
            return asyncio.ensure_future(send(job, lambda sample: screen.samples.update({job: sample}), stop))

        refreshing = asyncio.ensure_future(screen.refresh())
        loads = [run(job) for job in jobs]
        try:
            return await asyncio.gather(*loads)
        finally:
            await _end([refreshing, *loads])


async def _end(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def title(job: Job) -> str:
    """A load in two words, such as MESSAGE udp."""
    return f"{job.scenario.method or 'INVITE'} {job.transport}"
