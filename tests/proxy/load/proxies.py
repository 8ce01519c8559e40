"""A proxy as a child process on a free port of the loopback, with a route that the project ships."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxy.load.job import host_port
from proxy.load.ports import free_port

ROUTES = Path(__file__).parents[3] / "routes"
HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds until a test that hangs is given up


class Proxy:
    """The child. After the `with` block `statistics` are its last ones."""

    def __init__(self, port: int, host: str = HOST) -> None:
        self.port = port
        self.host = host
        self.statistics: dict[str, Any] = {}

    @property
    def target(self) -> str:
        return host_port((self.host, self.port))


@contextmanager
def running(route: str, directory: Path, host: str = HOST) -> Iterator[Proxy]:
    """Start it in `directory` and wait until it listens; SIGTERM at the end."""
    proxy = Proxy(free_port(host), host)
    listen = [f"--listen={protocol}:{proxy.target}" for protocol in ("udp", "tcp")]
    command = [sys.executable, "-m", "proxy", "run", str(ROUTES / route), *listen, "--log-format", "json", "--stats", "60"]
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            heard = 0
            while heard < len(listen):
                line = process.stderr.readline()
                assert line, "the proxy ended before it listened"
                heard += "listening on" in line
            yield proxy
        finally:
            process.send_signal(signal.SIGTERM)
            _, rest = process.communicate(timeout=PATIENCE)
    entries = [json.loads(line) for line in rest.splitlines()]
    proxy.statistics = [entry for entry in entries if entry["event"] == "stats"][-1]
    assert process.returncode == 0
