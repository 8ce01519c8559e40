"""A proxy in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.proxy.wire import MESSAGE, edited

LIMIT = 20.0  # seconds that nothing here takes


class Process:
    """``python -m proxy ...``; its standard error line by line."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        root = Path(__file__).parent.parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "proxy", *arguments],
            cwd=cwd,
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.lines: list[str] = []
        self._incoming: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self._incoming.put(line)
        self._incoming.put(None)

    def wait_for(self, pattern: str) -> str:
        """The next line in which the pattern is found; AssertionError with all lines when none comes."""
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                line = self._incoming.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"{pattern!r} is not in:\n{''.join(self.lines)}"
            self.lines.append(line)
            if re.search(pattern, line):
                return line

    def port(self, protocol: str = "udp") -> int:
        """The port of the next listener of this protocol that says it listens."""
        pattern = rf"listening on {protocol}:(?:\[[0-9a-f:]+\]|[0-9.]+):(\d+)"
        found = re.search(pattern, self.wait_for(pattern))
        assert found is not None
        return int(found[1])

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end; exit status and all that was said."""
        status = self.popen.wait(LIMIT)
        self._reader.join(LIMIT)
        while (line := self._incoming.get(timeout=LIMIT)) is not None:
            self.lines.append(line)
        self._incoming.put(None)
        return status, "".join(self.lines)

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(LIMIT)
        self._reader.join(LIMIT)
        assert self.popen.stderr is not None
        self.popen.stderr.close()


@contextmanager
def started(folder: Path, source: str, *arguments: str, listen: Sequence[str] = ("udp:127.0.0.1:0",)) -> Iterator[Process]:
    """Run a route file; whatever happens, its process is gone afterwards."""
    (folder / "routes.py").write_text(source)
    process = Process("run", "routes.py", *(word for address in listen for word in ("--listen", address)), *arguments, cwd=folder)
    try:
        yield process
    finally:
        process.close()


def ask(port: int, call_id: str = "c1", method: str = "MESSAGE") -> str:
    """Send a request over UDP until it is answered; the status line."""
    request = edited(
        MESSAGE,
        (b"MESSAGE sip", method.encode() + b" sip"),
        (b"1 MESSAGE", b"1 " + method.encode()),
        (b"198.51.100.7:40000;", b"127.0.0.1;rport;"),
        (b"c1@198.51.100.7", call_id.encode()),
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for _ in range(int(LIMIT)):
            peer.sendto(request, ("127.0.0.1", port))
            if select.select([peer], [], [], 1.0)[0]:
                return peer.recv(65535).partition(b"\r\n")[0].decode()
    raise AssertionError("no answer")
