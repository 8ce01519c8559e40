"""SIPp's own scenarios, a real user agent on either side of a running proxy."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import need
from tests.proxy.processes import LIMIT, started

CALLS = 20

USER_AGENT_SERVER = """
from proxy import Request, route

@route.request("INVITE")
def invite(request: Request) -> None:
    request.reply(180)
    request.reply(200, headers={"Contact": "<sip:uas@127.0.0.1>"})

@route.request("BYE")
def bye(request: Request) -> None:
    request.reply(200)
"""

RELAY = """
from proxy import Request, route

@route.request()
def relay(request: Request) -> None:
    request.forward("sip:127.0.0.1:{port};transport={transport}")
"""

TRANSPORTS = {"udp": "u1", "tcp": "t1"}


def free_port() -> int:
    """A port that is free for UDP and TCP alike, as far as can be told."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(one.getsockname())
        return int(one.getsockname()[1])


def uac(folder: Path, port: int, transport: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [need("sipp"), "-sn", "uac", "-i", "127.0.0.1", "-p", str(free_port()), "-t", TRANSPORTS[transport], "-nostdin"]
    command += ["-m", str(CALLS), "-r", "100", "-d", "0", "-timeout", f"{LIMIT:.0f}s", *arguments, f"127.0.0.1:{port}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=2 * LIMIT, check=False)


@contextmanager
def uas(folder: Path, port: int, transport: str) -> Iterator[None]:
    command = [need("sipp"), "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-t", TRANSPORTS[transport], "-nostdin"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait(LIMIT)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_calls_to_a_route_that_answers(tmp_path: Path, transport: str) -> None:
    need("sipp")
    with started(tmp_path, USER_AGENT_SERVER, "--log-level", "debug", listen=[f"{transport}:127.0.0.1:0"]) as process:
        ended = uac(tmp_path, process.port(transport), transport)
        assert ended.returncode == 0, ended.stdout[-3000:]


@pytest.mark.parametrize("inside", TRANSPORTS)
@pytest.mark.parametrize("outside", TRANSPORTS)
def test_calls_through_the_proxy(tmp_path: Path, outside: str, inside: str) -> None:
    """INVITE, 180, 200, ACK, BYE, 200 between two SIPp, on whatever transport either side speaks."""
    need("sipp")
    port = free_port()
    listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
    with uas(tmp_path, port, inside), started(tmp_path, RELAY.format(port=port, transport=inside), listen=listen) as process:
        ports = {protocol: process.port(protocol) for protocol in ("udp", "tcp")}
        ended = uac(tmp_path, ports[outside], outside)
    assert ended.returncode == 0, ended.stdout[-3000:]
