"""Timers: deadlines in virtual numbers, and the fence around their callbacks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

import pytest

import mqueue
from proxy.counters import Counters
from proxy.script import TimerCallback, TimerFunction, Where
from proxy.timers import Schedule, Timers

LONG = 10.0  # seconds that nothing here takes

SHORT = 0.003


@pytest.mark.parametrize(
    ("start", "interval", "ended_at", "deadlines", "missed"),
    [
        (0.0, 1.0, [1.0], [1.0, 2.0], 0),
        (0.0, 1.0, [1.2], [1.0, 2.0], 0),
        (0.0, 1.0, [1.999], [1.0, 2.0], 0),
        (0.0, 1.0, [2.0], [1.0, 3.0], 1),
        (0.0, 1.0, [2.5], [1.0, 3.0], 1),
        (0.0, 1.0, [11.5], [1.0, 12.0], 10),
        (0.0, 1.0, [1.1, 2.1, 3.1], [1.0, 2.0, 3.0, 4.0], 0),
        (0.0, 1.0, [1.9, 2.9, 3.9], [1.0, 2.0, 3.0, 4.0], 0),
        (0.0, 1.0, [3.5, 4.1], [1.0, 4.0, 5.0], 2),
        (100.0, 0.5, [100.6, 102.0], [100.5, 101.0, 102.5], 2),
        (0.0, 0.00025, [0.00026, 0.0011], [0.00025, 0.0005, 0.00125], 2),
        (0.0, 1.0, [0.5], [1.0, 2.0], 0),
    ],
)
def test_schedule(start: float, interval: float, ended_at: list[float], deadlines: list[float], missed: int) -> None:
    schedule = Schedule(start, interval)
    found = [schedule.deadline]
    for now in ended_at:
        schedule.advance(now)
        found.append(schedule.deadline)
    assert found == pytest.approx(deadlines)
    assert schedule.missed == missed


def test_a_week_of_ticks_does_not_drift() -> None:
    schedule, week = Schedule(0.0, 0.25), 7 * 24 * 3600
    for _ in range(1000):
        schedule.advance(schedule.deadline + 0.2)
    assert schedule.deadline == 1001 * 0.25
    schedule.advance(week)
    assert schedule.deadline == week + 0.25
    assert schedule.missed == week * 4 - 1001


def callback(function: TimerFunction, interval: float = SHORT, name: str = "t", argument: str | None = None) -> TimerCallback:
    return TimerCallback(name, function, interval, Where("routes.py", 7), asyncio.iscoroutinefunction(function), 1, argument)


def run(until: Callable[[], Awaitable[object]], *callbacks: TimerCallback, stop_timeout: float = LONG) -> Counters:
    """Start timers, wait, stop them; their counters."""
    counters = Counters()

    async def scenario() -> None:
        timers = Timers(callbacks, counters)
        timers.start()
        async with asyncio.timeout(LONG):
            await until()
        await timers.stop(stop_timeout)

    asyncio.run(scenario())
    return counters


class Calls:
    """Counts calls from any thread, and lets a coroutine wait for so many."""

    def __init__(self, wanted: int) -> None:
        self.count = 0
        self.arguments: list[tuple[object, ...]] = []
        self.threads: set[int] = set()
        self._wanted = wanted
        self._enough = threading.Event()

    def note(self, *arguments: object) -> None:
        self.count += 1
        self.arguments.append(arguments)
        self.threads.add(threading.get_ident())
        if self.count >= self._wanted:
            self._enough.set()

    async def enough(self) -> None:
        assert await asyncio.to_thread(self._enough.wait, LONG)


def both(calls: Calls, body: Callable[[], None] = lambda: None) -> dict[str, TimerFunction]:
    """The same callback, plain and async."""

    def plain(*arguments: object) -> None:
        calls.note(*arguments)
        body()

    async def asynchronous(*arguments: object) -> None:
        calls.note(*arguments)
        body()

    return {"plain": plain, "async": asynchronous}


KINDS = ["plain", "async"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("argument", "given"), [(None, ()), ("rtimer", ("rtimer",))])
def test_a_callback_runs_again_and_again_with_its_argument(kind: str, argument: str | None, given: tuple[object, ...]) -> None:
    calls = Calls(3)
    counters = run(calls.enough, callback(both(calls)[kind], argument=argument))
    assert set(calls.arguments) == {given}
    assert counters.timer_runs["t"] == calls.count >= 3
    assert counters.timer_errors == {}


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_below_a_millisecond_are_allowed(kind: str) -> None:
    calls = Calls(20)
    run(calls.enough, callback(both(calls)[kind], interval=0.0002))
    assert calls.count >= 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_callback_that_raises_runs_again(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise LookupError("database is gone")

    calls = Calls(3)
    counters = run(calls.enough, callback(both(calls, fail)[kind], name="batch"))
    assert counters.timer_errors["batch"] == counters.timer_runs["batch"] >= 3
    assert "timer batch (routes.py:7) failed; it runs again at its next tick" in caplog.text
    assert "LookupError: database is gone" in caplog.text


def test_what_a_callback_awaits_may_be_cancelled_and_it_runs_again() -> None:
    calls = Calls(3)

    async def wait_for_what_is_cancelled() -> None:
        calls.note()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    assert run(calls.enough, callback(wait_for_what_is_cancelled)).timer_errors["t"] >= 3


def test_a_wrong_signature_is_a_failed_run() -> None:
    async def wants_one(event: str) -> None:
        raise AssertionError(event)

    calls = Calls(2)
    counters = run(calls.enough, callback(wants_one, name="wrong"), callback(both(calls)["async"], interval=SHORT * 2))
    assert counters.timer_errors["wrong"] >= 1


def test_a_plain_callback_runs_in_a_thread_of_its_own_and_an_async_one_on_the_loop() -> None:
    plain, asynchronous = Calls(2), Calls(2)

    async def enough() -> None:
        await plain.enough()
        await asynchronous.enough()

    run(enough, callback(both(plain)["plain"]), callback(both(asynchronous)["async"]))
    assert asynchronous.threads == {threading.get_ident()}
    assert len(plain.threads) == 1
    assert not plain.threads & asynchronous.threads


def test_a_plain_callback_that_hangs_does_not_stop_the_loop() -> None:
    release, calls = threading.Event(), Calls(3)

    def hang() -> None:
        assert release.wait(LONG)

    async def enough() -> None:
        await calls.enough()
        release.set()

    assert run(enough, callback(hang, name="hangs"), callback(both(calls)["async"])).timer_runs["hangs"] >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_not_over_is_not_started_twice(kind: str) -> None:
    """Another timer counts ten ticks meanwhile; the long run's ticks are missed, and counted."""
    release, others = threading.Event(), Calls(10)
    under_way: list[int] = []
    most: list[int] = []

    def plain() -> None:
        under_way.append(1)
        most.append(len(under_way))
        release.wait(LONG)
        under_way.pop()

    async def asynchronous() -> None:
        under_way.append(1)
        most.append(len(under_way))
        await asyncio.to_thread(release.wait, LONG)
        under_way.pop()

    async def enough() -> None:
        await others.enough()
        release.set()

    long = plain if kind == "plain" else asynchronous
    counters = run(enough, callback(long, name="long"), callback(both(others)["async"], interval=SHORT * 2))
    assert set(most) == {1}
    assert counters.timer_missed["long"] >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_each_run_has_its_own_fetched_item(kind: str) -> None:
    mqueue.queues.clear()
    mqueue.define("name=q")
    seen: dict[str, list[str | None]] = {"one": [], "two": []}
    for number in range(6):
        mqueue.mq_add("q", str(number), "")
    done = Calls(6)

    def take(name: str) -> None:
        if mqueue.mq_fetch("q") == 1:
            seen[name].append(mqueue.mqk("q"))
            done.note()

    functions: list[TimerFunction] = []
    for name in seen:

        def plain(name: str = name) -> None:
            take(name)

        async def asynchronous(name: str = name) -> None:
            take(name)

        functions.append(plain if kind == "plain" else asynchronous)
    run(done.enough, *(callback(function) for function in functions))
    assert sorted(key or "" for keys in seen.values() for key in keys) == list("012345")
    assert mqueue.mqk("q") is None
    mqueue.queues.clear()


def test_an_async_callback_that_holds_the_loop_is_named(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("proxy.router.perf_counter", lambda: now[0])
    calls = Calls(1)

    async def hold() -> None:
        now[0] += 0.25
        calls.note()

    run(calls.enough, callback(hold, name="crunch"))
    assert "timer crunch (routes.py:7) held the loop for 250 ms (limit 100)" in caplog.text


def test_a_run_under_way_may_end_when_the_timers_stop() -> None:
    calls, ended = Calls(1), []

    async def slow() -> None:
        calls.note()
        for _ in range(10):
            await asyncio.sleep(SHORT)
        ended.append(True)

    run(calls.enough, callback(slow, interval=SHORT))
    assert ended == [True]


@pytest.mark.parametrize("stubborn", [False, True])
def test_stopping_waits_for_a_bounded_time(stubborn: bool, caplog: pytest.LogCaptureFixture) -> None:
    calls, over = Calls(1), asyncio.Event()

    async def hang() -> None:
        calls.note()
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                if not stubborn:
                    raise

    async def scenario() -> None:
        timers = Timers([callback(hang, name="hangs")], Counters())
        timers.start()
        await calls.enough()
        async with asyncio.timeout(LONG):
            await timers.stop(0.01)
        over.set()
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert "timer hangs did not end within 0.01 s" in caplog.text


def test_stopping_does_not_wait_for_a_thread_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    release, calls = threading.Event(), Calls(1)

    def hang() -> None:
        calls.note()
        release.wait(LONG)

    run(calls.enough, callback(hang, name="hangs"), stop_timeout=0.01)
    release.set()
    assert "timer hangs did not end within 0.01 s" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_timer_that_sleeps_stops_at_once_and_runs_no_more(kind: str) -> None:
    calls = Calls(1)

    async def at_once() -> None:
        await asyncio.sleep(0)

    with_timer = run(at_once, callback(both(calls)[kind], interval=3600.0))
    assert calls.count == 0
    assert with_timer.timer_runs == {}


def test_no_timers_at_all() -> None:
    async def at_once() -> None:
        await asyncio.sleep(0)

    logging.getLogger("mqproxy.timer").debug("nothing to do")
    run(at_once)
