"""The built-in sender, against a proxy process and against peers that answer badly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from proxy.errors import LoadError
from proxy.load import sender
from proxy.load.job import Job
from proxy.load.ports import free_port
from proxy.load.result import Result
from proxy.load.scenarios import SCENARIOS
from tests.proxy.load.proxies import HOST, PATIENCE, running

CALLS = 150  # more than may be open at once


async def send(port: int, name: str = "message", transport: str = "udp", calls: int = CALLS, rate: float = 10_000.0) -> Result:
    async with asyncio.timeout(PATIENCE):
        job = Job.of(SCENARIOS[name], (HOST, port), transport, rate=rate, calls=calls)
        return await sender.run(job, lambda _: None, asyncio.Event())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("name", ["options", "message", "register", "flood"])
def test_every_request_is_answered(name: str, transport: str, tmp_path: Path) -> None:
    with running("demo.py", tmp_path) as proxy:
        result = asyncio.run(send(proxy.port, name, transport))
    assert result.complaints == []
    assert (result.final.started, result.final.succeeded, result.final.open) == (CALLS, CALLS, 0)
    assert len(result.response_times) == CALLS
    assert proxy.statistics["queues"]["events"]["added"] == CALLS + result.final.retransmissions


class Peer(asyncio.DatagramProtocol):
    """Answers with what `answer` makes of the number of times that it saw the Call-ID; None is silence."""

    def __init__(self, answer: Callable[[int], str | None]) -> None:
        self._answer = answer
        self._seen: dict[str, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        found = re.search(r"Call-ID: (\S+)", data.decode())
        assert found
        self._seen[found[1]] = self._seen.get(found[1], 0) + 1
        status = self._answer(self._seen[found[1]])
        if status:
            self._transport.sendto(f"SIP/2.0 {status}\r\nVia: x\r\ni : {found[1]}\r\n\r\n".encode(), addr)


def against(answer: Callable[[int], str | None], calls: int) -> Result:
    async def run() -> Result:
        port = free_port(HOST)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Peer(answer), local_addr=(HOST, port))
        try:
            return await send(port, calls=calls)
        finally:
            transport.close()

    return asyncio.run(run())


def test_what_is_lost_is_sent_again() -> None:
    result = against(lambda seen: "200 OK" if seen == 2 else None, calls=3)
    assert result.succeeded
    assert result.final.retransmissions == 3


def test_another_answer_is_a_failed_call() -> None:
    result = against(lambda _: "503 Service Unavailable", calls=3)
    assert result.failures == {"answered 503": 3}
    assert result.complaints == ["3 of 3 calls failed"]


def test_a_provisional_answer_is_waited_out() -> None:
    result = against(lambda seen: "100 Trying" if seen == 1 else "200 OK", calls=2)
    assert result.succeeded
    assert result.final.retransmissions == 2


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_RETRANSMIT", (0.01, 0.02))
    monkeypatch.setattr(sender, "_ANSWER_TIMEOUT", 0.1)
    result = asyncio.run(send(free_port(HOST), calls=3))
    assert result.failures == {"no answer in time": 3}
    assert result.final.retransmissions == 6
    assert "is the proxy running there?" in result.complaints[-1]


def test_a_connection_that_closes_fails_the_calls_on_it() -> None:
    async def run() -> Result:
        port = free_port(HOST)

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.close()

        async with await asyncio.start_server(hang_up, HOST, port):
            return await send(port, transport="tcp", calls=5)

    assert asyncio.run(run()).failures == {"connection closed": 5}


def test_a_refused_connection_is_an_error_with_the_remedy() -> None:
    with pytest.raises(LoadError, match=r"no connection to tcp:127\.0\.0\.1:.*mqproxy run FILE"):
        asyncio.run(send(free_port(HOST), transport="tcp"))


@pytest.mark.parametrize(("name", "transport"), [("invite", "udp"), ("call", "tcp"), ("message", "tcp-per-call")])
def test_what_takes_sipp_says_so(name: str, transport: str) -> None:
    with pytest.raises(LoadError, match="takes SIPp: apt-get install sip-tester"):
        asyncio.run(send(free_port(HOST), name, transport))


def test_stop_ends_a_slow_load_at_once(tmp_path: Path) -> None:
    async def run(port: int) -> Result:
        stop = asyncio.Event()
        job = Job.of(SCENARIOS["message"], (HOST, port), rate=0.001, calls=100)
        asyncio.get_running_loop().call_later(0.3, stop.set)
        async with asyncio.timeout(PATIENCE):
            return await sender.run(job, lambda _: None, stop)

    with running("demo.py", tmp_path) as proxy:
        result = asyncio.run(run(proxy.port))
    assert result.interrupted
    assert result.final.started == result.final.succeeded == 1
