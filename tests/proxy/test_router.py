"""Routes behind the error fence."""

from __future__ import annotations

import asyncio
import logging

import pytest

from proxy import router
from proxy.request import Request
from proxy.script import RouteFunction
from tests.proxy.wire import MESSAGE, Proxy, callback_of, edited, header, reply_ok, start_line

ACK = edited(MESSAGE, (b"MESSAGE sip", b"ACK sip"), (b"1 MESSAGE", b"1 ACK"))


def fail(request: Request) -> None:
    raise LookupError("no such subscriber")


async def fail_async(request: Request) -> None:
    await asyncio.sleep(0)
    raise LookupError("no such subscriber")


def lines(proxy: Proxy) -> list[str]:
    return [start_line(sent) for sent, _ in proxy.wire.sent]


def run(proxy: Proxy, *messages: bytes) -> None:
    """Receive on a loop, and let async routes end."""

    async def scenario() -> None:
        for message in messages:
            proxy.receive(message)
        await proxy.router.finish(5)

    asyncio.run(scenario())


@pytest.mark.parametrize("route", [fail, fail_async])
def test_a_route_that_raises_answers_500_and_the_process_goes_on(route: RouteFunction, caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy()
    proxy.script.default_route = callback_of(route, "subscribers")
    proxy.script.routes["OPTIONS"] = callback_of(reply_ok)
    run(proxy, MESSAGE, edited(MESSAGE, (b"MESSAGE sip", b"OPTIONS sip"), (b"1 MESSAGE", b"1 OPTIONS")))
    assert sorted(lines(proxy)) == ["SIP/2.0 200 OK", "SIP/2.0 500 Server Internal Error"]
    assert proxy.counters.route_errors == {"subscribers": 1}
    assert "route subscribers (routes.py:1) failed on MESSAGE" in caplog.text
    assert "LookupError: no such subscriber" in caplog.text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_whatever_a_route_raises_answers_500_and_the_process_goes_on(error: type[BaseException]) -> None:
    def leave(request: Request) -> None:
        raise error

    proxy = Proxy(leave)
    run(proxy, MESSAGE, MESSAGE)
    assert lines(proxy) == ["SIP/2.0 500 Server Internal Error"] * 2


def test_what_a_plain_route_returns_is_awaited() -> None:
    async def later(request: Request) -> None:
        await asyncio.sleep(0)
        request.reply(202)

    def decorated(request: Request) -> object:
        return later(request)

    proxy = Proxy()
    proxy.script.default_route = callback_of(decorated)
    run(proxy, MESSAGE)
    assert lines(proxy) == ["SIP/2.0 202 Accepted"]
    assert proxy.dropped == {}


def test_a_route_that_raises_after_a_provisional_answer_answers_500() -> None:
    def route(request: Request) -> None:
        request.reply(180)
        fail(request)

    proxy = Proxy(route)
    proxy.receive(MESSAGE)
    assert lines(proxy) == ["SIP/2.0 180 Ringing", "SIP/2.0 500 Server Internal Error"]


def test_a_route_that_raises_after_its_answer_sends_no_second_one() -> None:
    def route(request: Request) -> None:
        request.reply(200)
        fail(request)

    proxy = Proxy(route)
    proxy.receive(MESSAGE)
    assert lines(proxy) == ["SIP/2.0 200 OK"]
    assert sum(proxy.counters.route_errors.values()) == 1


def test_an_ack_whose_route_raises_is_not_answered() -> None:
    proxy = Proxy(fail)
    assert proxy.receive(ACK) == []
    assert sum(proxy.counters.route_errors.values()) == 1


async def say_nothing(request: Request) -> None:
    request.reply(100)


@pytest.mark.parametrize("route", [lambda request: None, lambda request: request.reply(180), say_nothing])
def test_what_a_route_does_not_decide_is_dropped_with_a_debug_line(route: RouteFunction, caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy()
    proxy.script.default_route = callback_of(route, "silent")
    with caplog.at_level(logging.DEBUG, "mqproxy.route"):
        run(proxy, MESSAGE)
    assert proxy.dropped == {"no answer by route": 1}
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "mqproxy.route"] == [
        ("DEBUG", "route silent returned without reply, forward or drop: MESSAGE is dropped")
    ]


def test_routes_are_found_by_method_exactly() -> None:
    proxy = Proxy()
    named, other = callback_of(lambda request: request.reply(201)), callback_of(lambda request: request.reply(202))
    proxy.script.routes["MESSAGE"] = named
    proxy.script.default_route = other
    for method in (b"MESSAGE", b"message", b"INFO", b"!interesting-Method0123456789_*+`.%indeed'~"):
        proxy.receive(edited(MESSAGE, (b"MESSAGE sip", method + b" sip"), (b"1 MESSAGE", b"1 " + method)))
    assert [line.split()[1] for line in lines(proxy)] == ["201", "202", "202", "202"]


def test_a_method_without_a_route_is_405_with_allow() -> None:
    proxy = Proxy()
    proxy.script.routes = {"INVITE": callback_of(reply_ok), "BYE": callback_of(reply_ok)}
    sent = proxy.receive(MESSAGE)
    assert [start_line(message) for message in sent] == ["SIP/2.0 405 Method Not Allowed"]
    assert header(sent[0], "Allow") == ["INVITE, BYE"]


def test_an_ack_without_a_route_is_counted() -> None:
    proxy = Proxy()
    assert proxy.receive(ACK) == []
    assert proxy.dropped == {"no route for ACK": 1}


class Clock:
    """Stands still but for what a route spends."""

    now = 0.0

    def __call__(self) -> float:
        return Clock.now

    @classmethod
    def spend(cls, seconds: float) -> None:
        cls.now += seconds


def hold(request: Request) -> None:
    Clock.spend(0.12)
    request.reply(200)


async def hold_inside_async(request: Request) -> None:
    await asyncio.sleep(0)
    hold(request)


async def take_long_politely(request: Request) -> None:
    for _ in range(5):
        Clock.spend(0.09)
        await asyncio.sleep(0)
    request.reply(200)


@pytest.mark.parametrize(("route", "warned"), [(hold, True), (hold_inside_async, True), (take_long_politely, False), (reply_ok, False)])
def test_a_route_that_holds_the_loop_is_named(
    route: RouteFunction, warned: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "perf_counter", Clock())
    proxy = Proxy()
    proxy.script.default_route = callback_of(route, "lookup")
    run(proxy, MESSAGE)
    assert lines(proxy) == ["SIP/2.0 200 OK"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == warned
    assert all(warning.startswith("route lookup (routes.py:1) held the loop for 120 ms") for warning in warnings)


def test_async_routes_overtake_each_other() -> None:
    async def scenario() -> list[str]:
        first = asyncio.Event()

        async def route(request: Request) -> None:
            if request.call_id.startswith("c1"):
                await first.wait()
            else:
                first.set()
            request.reply(200, request.call_id)

        proxy = Proxy(route)
        proxy.receive(MESSAGE)
        proxy.receive(edited(MESSAGE, (b"c1@", b"c2@")))
        await proxy.router.finish(5)
        return lines(proxy)

    assert asyncio.run(scenario()) == ["SIP/2.0 200 c2@198.51.100.7", "SIP/2.0 200 c1@198.51.100.7"]


def test_the_number_of_async_routes_under_way_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "_MOST_TASKS", 2)

    async def scenario() -> Proxy:
        released = asyncio.Event()

        async def route(request: Request) -> None:
            await released.wait()
            request.reply(200)

        proxy = Proxy(route)
        for _ in range(3):
            proxy.receive(MESSAGE)
        proxy.receive(ACK)
        released.set()
        await proxy.router.finish(5)
        return proxy

    proxy = asyncio.run(scenario())
    assert lines(proxy) == ["SIP/2.0 503 Service Unavailable", "SIP/2.0 200 OK", "SIP/2.0 200 OK"]
    assert header(proxy.wire.sent[0][0], "Retry-After") == ["1"]
    assert proxy.dropped == {"too many async callbacks": 2}


def test_finish_cancels_what_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> list[str]:
        ends: list[str] = []

        async def route(request: Request) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ends.append("cancelled")

        proxy = Proxy(route)
        proxy.receive(MESSAGE)
        await asyncio.sleep(0)
        await proxy.router.finish(0.01)
        await asyncio.sleep(0)
        return ends

    assert asyncio.run(scenario()) == ["cancelled"]
    assert "1 route callbacks did not end within 0.01 s and were cancelled" in caplog.text


def test_what_an_async_route_awaits_may_fail_inside_it() -> None:
    async def route(request: Request) -> None:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            request.reply(504)

    proxy = Proxy(route)
    run(proxy, MESSAGE)
    assert lines(proxy) == ["SIP/2.0 504 Server Time-out"]


async def await_what_is_cancelled(request: Request) -> None:
    waited_for = asyncio.get_running_loop().create_future()
    waited_for.cancel()
    await waited_for


def test_a_route_that_awaits_what_is_cancelled_answers_500(caplog: pytest.LogCaptureFixture) -> None:
    proxy = Proxy()
    proxy.script.default_route = callback_of(await_what_is_cancelled, "waiter")
    run(proxy, MESSAGE)
    assert lines(proxy) == ["SIP/2.0 500 Server Internal Error"]
    assert proxy.counters.route_errors == {"waiter": 1}
    assert "route waiter (routes.py:1) failed on MESSAGE" in caplog.text


def test_a_request_whose_route_is_cancelled_at_shutdown_is_counted() -> None:
    async def never_end(request: Request) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        proxy.receive(MESSAGE)
        await asyncio.sleep(0)
        await proxy.router.finish(0)
        await asyncio.sleep(0)

    proxy = Proxy()
    proxy.script.default_route = callback_of(never_end)
    asyncio.run(scenario())
    assert lines(proxy) == []
    assert proxy.dropped == {"route cancelled at shutdown": 1}
