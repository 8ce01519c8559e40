"""The demo, act by act: traffic, the queue that it fills, a restart."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console

from proxy.demo import summary
from proxy.demo.child import QUEUE, STATS_EVERY, Child
from proxy.demo.traffic import send_all
from proxy.load.choice import Send
from proxy.load.job import Job
from proxy.load.scenarios import SCENARIOS

# Scenario, transport, calls a second. What is queued is more than the 1,000 items a second that the timer of routes/demo.py takes.
TRAFFIC = (
    ("message", "udp", 700.0),
    ("options", "udp", 250.0),
    ("register", "udp", 150.0),
    ("message", "tcp", 300.0),
    ("options", "tcp", 150.0),
    ("call", "udp", 40.0),
)
BURST = 3000  # MESSAGE before the restart
_BURST_RATE = 6000.0  # a second: the timer cannot take them before SIGTERM comes
_DATABASE = "demo.db"  # of routes/demo.py
_DRAIN_TIMEOUT = 20.0  # seconds
_ROWS_SHOWN = 3


class Story:
    """One telling. checks: what was to be seen, and whether it was; `went_well` when all of it was."""

    def __init__(self, console: Console, script: Path, directory: Path, send: Send, stop: asyncio.Event) -> None:
        self.checks: list[tuple[bool, str]] = []
        self._console = console
        self._script = script
        self._directory = directory
        self._send = send
        self._stop = stop

    @property
    def went_well(self) -> bool:
        """True when all that was checked was as it should be, to the end."""
        return bool(self.checks) and all(good for good, _ in self.checks) and not self._stop.is_set()

    async def tell(self, seconds: float, with_calls: bool) -> None:
        """Play all acts; `seconds` is how long the traffic lasts. LoadError when something cannot run."""
        saved = await self._first_run(seconds, with_calls)
        if self._stop.is_set():
            self._console.print("interrupted")
            return
        await self._second_run(saved)
        summary.show_checks(self._console, self.checks)

    async def _first_run(self, seconds: float, with_calls: bool) -> int:
        async with self._proxy() as child:
            await self._traffic(child, seconds, with_calls)
            await self._burst(child)
            status = await child.stop()
        if self._stop.is_set():
            return 0
        saved = child.items.get("saved", 0)
        count, rows = stored(self._directory / _DATABASE)
        self._console.print(f"SIGTERM: the proxy says [bold]queue {QUEUE}: {saved} items saved[/] and ends with status {status}")
        self._console.print(f"{_DATABASE}, table {QUEUE}: {count:,} rows")
        summary.show_rows(self._console, rows, count)
        self._check(status == 0, "the proxy ended in order")
        self._check(0 < saved == count, f"the {saved:,} items left on the queue are in the database")
        return saved

    async def _traffic(self, child: Child, seconds: float, with_calls: bool) -> None:
        jobs = [
            Job.of(SCENARIOS[name], child.address, transport, rate=rate, duration=seconds)
            for name, transport, rate in TRAFFIC
            if with_calls or SCENARIOS[name].method
        ]
        results = await send_all(self._console, child, jobs, self._send, self._stop)
        emptied = not self._stop.is_set() and await self._drained(child)
        summary.show_loads(self._console, results)
        summary.show_proxy(self._console, child.last)
        summary.show_depth(self._console, child.moments)
        calls = sum(result.final.started for result in results)
        complaints = [complaint for result in results for complaint in result.complaints]
        self._check(not complaints, "; ".join(complaints) or f"all {calls:,} calls were answered as they should be")
        self._check(emptied, "the timer emptied the queue")

    async def _burst(self, child: Child) -> None:
        if self._stop.is_set():
            return
        self._console.print(f"\n[bold]A restart[/]\n{BURST:,} MESSAGE at once, and SIGTERM while they are on the queue")
        job = Job.of(SCENARIOS["message"], child.address, rate=_BURST_RATE, calls=BURST)
        results = await send_all(self._console, child, [job], self._send, self._stop)
        self._check(results[0].succeeded, "; ".join(results[0].complaints) or f"the burst of {BURST:,} was answered")

    async def _second_run(self, saved: int) -> None:
        async with self._proxy() as child:
            loaded = child.items.get("loaded", 0)
            self._console.print(f"Started again: the proxy says [bold]queue {QUEUE}: {loaded} items loaded[/]")
            emptied = await self._drained(child)
            status = await child.stop()
        taken = child.last.queue.get("fetched", 0)
        summary.show_depth(self._console, child.moments)
        self._check(loaded == saved, f"{loaded:,} items came back of {saved:,} saved")
        self._check(emptied and taken == loaded and status == 0, f"the timer took {taken:,} of them")
        left, _ = stored(self._directory / _DATABASE)
        self._check(left == 0, f"{left:,} rows are left in the database after it")

    async def _drained(self, child: Child) -> bool:
        """Wait until statistics that are newer than now say that the queue is empty."""
        seen = len(child.moments)
        with self._console.status("the timer empties the queue") if self._console.is_terminal else contextlib.nullcontext():
            return await child.until(lambda: len(child.moments) > seen and child.last.size == 0, _DRAIN_TIMEOUT + STATS_EVERY)

    @contextlib.asynccontextmanager
    async def _proxy(self) -> AsyncIterator[Child]:
        child = Child(self._script, self._directory)
        try:
            await child.start()
            self._console.print(f"mqproxy run {self._script.name} on udp and tcp {child.address[0]}:{child.address[1]}")
            yield child
        finally:
            await child.stop()
            for complaint in child.complaints[:5]:
                self._console.print(f"[yellow]the proxy says:[/] {complaint}")

    def _check(self, good: bool, text: str) -> None:
        self.checks.append((good, text))


def stored(database: Path) -> tuple[int, list[tuple[int, str, str]]]:
    """How many rows the table of the queue has, and the first of them; 0 and none when there is no table."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            (count,) = connection.execute(f"SELECT count(*) FROM {QUEUE}").fetchone()  # noqa: S608  a constant of ours
            rows = connection.execute(f"SELECT id, key, val FROM {QUEUE} ORDER BY id LIMIT ?", (_ROWS_SHOWN,)).fetchall()  # noqa: S608
        except sqlite3.OperationalError:
            return 0, []
    return count, rows
