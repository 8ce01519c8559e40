"""Micro-benchmarks: what one step of a request costs, and one call on a queue. `make bench` runs them."""

from __future__ import annotations

from itertools import count

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mqueue import Definition, Queue, Registry
from proxy.sip.framing import parse_message
from proxy.sip.message import Request
from proxy.sip.replying import response, status_line
from proxy.sip.validation import check_request

SOURCE = ("127.0.0.1", 4444)
MESSAGE = (
    b"MESSAGE sip:svc@127.0.0.12:5072 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:4444;branch=z9hG4bK-11-11-0\r\n"
    b'From: "u" <sip:user11@127.0.0.1:4444>;tag=12F11\r\nTo: <sip:svc@127.0.0.12:5072>\r\nCall-ID: 11-77@127.0.0.1\r\n'
    b"CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length:    13\r\n\r\nhello world\r\n"
)


def bench_parse(benchmark: BenchmarkFixture) -> None:
    benchmark(parse_message, MESSAGE)


def bench_parse_and_check(benchmark: BenchmarkFixture) -> None:
    def step() -> None:
        message = parse_message(MESSAGE)
        assert isinstance(message, Request)
        check_request(message, SOURCE)

    benchmark(step)


def bench_response(benchmark: BenchmarkFixture) -> None:
    request = parse_message(MESSAGE)
    benchmark(response, request, status_line(200), b"0123abcd.0123456789abcdef")


@pytest.mark.parametrize("definition", ["name=q", "name=q;size=1000", "name=q;addmode=1", "name=q;addmode=2"])
def bench_mq_add(benchmark: BenchmarkFixture, definition: str) -> None:
    registry, numbers = Registry(), count()
    registry.define(definition)
    benchmark(lambda: registry.mq_add("q", str(next(numbers)), "value"))


@pytest.mark.parametrize("addmode", [1, 2])
@pytest.mark.parametrize("queued", [0, 1_000_000])
def bench_unique_add(benchmark: BenchmarkFixture, addmode: int, queued: int) -> None:
    """An add to a queue of a million unique keys costs what one to an empty queue does."""
    queue, numbers = Queue(Definition.parse(f"name=q;addmode={addmode}")), count(queued)
    for number in range(queued):
        queue.add(str(number), "value")
    benchmark.pedantic(lambda: queue.add(str(next(numbers)), "value"), rounds=20_000, iterations=1)


def bench_ten_thousand_mq_fetch(benchmark: BenchmarkFixture) -> None:
    registry = Registry()
    registry.define("name=q")

    def fill() -> None:
        for number in range(10_000):
            registry.mq_add("q", str(number), "value")

    def drain() -> None:
        while registry.mq_fetch("q") == 1:
            registry.mqk("q")

    benchmark.pedantic(drain, setup=fill, rounds=20)
