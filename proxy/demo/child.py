"""The proxy of the demo: `mqproxy run` as a child process, its log read as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import proxy
from proxy.errors import LoadError
from proxy.load.ports import free_port

HOST = "127.0.0.1"
QUEUE = "events"  # of routes/demo.py
STATS_EVERY = 0.25  # seconds

_START_TIMEOUT = 15.0  # seconds
_STOP_TIMEOUT = 15.0
_LINES_SHOWN = 8  # of the log, when something went wrong
_ITEMS = re.compile(rf"queue {QUEUE}: (\d+) items (loaded|saved)")


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of statistics: seconds since the process was started, its counters, and the figures of the queue."""

    seconds: float = 0.0
    counters: dict[str, Any] = field(default_factory=dict)

    @property
    def queue(self) -> dict[str, int]:
        """size, added, fetched, dropped of the queue."""
        found: dict[str, int] = self.counters.get("queues", {}).get(QUEUE, {})
        return found

    @property
    def size(self) -> int:
        """How many items are queued."""
        return self.queue.get("size", 0)


class Child:
    """One run of the proxy on a free port of the loopback, UDP and TCP.

    moments: its statistics. complaints: warnings and errors of its log. items: how many it said to have loaded and saved.
    """

    def __init__(self, script: Path, directory: Path) -> None:
        self.address = (HOST, free_port(HOST))
        self.moments: list[Moment] = [Moment()]
        self.items: dict[str, int] = {}
        self.complaints: list[str] = []
        self._log: list[str] = []
        self._news = asyncio.Event()
        self._script = script
        self._directory = directory
        self._listening = 0
        self._began = 0.0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def last(self) -> Moment:
        """The latest statistics."""
        return self.moments[-1]

    async def start(self) -> None:
        """Start it and wait until it listens. LoadError with the end of its log when it does not."""
        self._began = asyncio.get_running_loop().time()
        listen = [f"--listen={protocol}:{HOST}:{self.address[1]}" for protocol in ("udp", "tcp")]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "run", str(self._script), *listen, "--log-format", "json", "--stats", str(STATS_EVERY)),
            cwd=self._directory,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C on the terminal is for the demo, which stops it in order
        )
        self._reader = asyncio.ensure_future(self._read(self._process.stderr))
        self._reader.add_done_callback(lambda _: self._news.set())
        if not await self.until(lambda: self._listening == len(listen), _START_TIMEOUT):
            raise LoadError(f"the proxy did not start with {self._script}; the end of its log:\n{self.log_end()}")

    async def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until the condition holds; False when it does not within `timeout` seconds, or the process ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not condition() and not (self._reader and self._reader.done()):
                    self._news.clear()
                    await self._news.wait()
        return condition()

    async def stop(self) -> int:
        """Send SIGTERM and wait, then SIGKILL; the exit status. Does nothing when it has ended."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return 0
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        done, _ = await asyncio.wait((reader,), timeout=_STOP_TIMEOUT)  # the log ends with the process
        if not done:
            process.kill()
        await reader
        return await process.wait()

    def log_end(self) -> str:
        """The last lines of the log."""
        return "\n".join(self._log[-_LINES_SHOWN:]) or "(empty)"

    async def _read(self, log: asyncio.StreamReader | None) -> None:
        with (self._directory / "proxy.log").open("a") as copy:
            while log is not None and (line := (await log.readline()).decode("utf-8", "replace")):
                copy.write(line)
                self._take(line.rstrip("\n"))
                self._news.set()

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:  # not from the logger: a traceback, or a message of the interpreter
            entry = {"event": line, "level": "warning"}
        event = str(entry.get("event"))
        if event == "stats":
            self.moments.append(Moment(asyncio.get_running_loop().time() - self._began, entry))
            return
        self._log.append(event)
        self._listening += event.startswith("listening on")
        if match := _ITEMS.match(event):
            self.items[match[2]] = int(match[1])
        if entry.get("level") in ("warning", "error", "critical"):
            self.complaints.append(event)


def _environment() -> dict[str, str]:
    """That of this process, with the package where it was found: the child works in another directory."""
    found = str(Path(proxy.__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{found}{os.pathsep}{known}" if known else found}
