"""Runs the timers of a script.

Deadlines are absolute: a run that takes long does not shift the ones after it, and the ticks that it missed are skipped. An async
callback runs in a task of its own, a plain one in a thread of its own; the item that it fetches from a queue is its own too.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Iterable
from time import monotonic

from proxy.counters import Counters
from proxy.router import SLOW, timed
from proxy.script import TimerCallback

log = logging.getLogger("mqproxy.timer")

_LOOP_RESOLUTION = 0.002  # seconds; event loops count in milliseconds, what is shorter is slept in a thread
_CANCEL_TIMEOUT = 1.0  # seconds that a callback gets to end once it is cancelled; it may refuse


class Schedule:
    """The deadlines of a timer, in seconds on any clock that the caller keeps to.

    deadline: when the next run is due. missed: ticks that were skipped as a run was still going on, or started late.
    """

    def __init__(self, start: float, interval: float) -> None:
        self.deadline = start + interval
        self.missed = 0
        self._interval = interval

    def advance(self, now: float) -> None:
        """A run ended at `now`: the next deadline is the first tick after it."""
        skipped = max(0, int((now - self.deadline) // self._interval))
        self.missed += skipped
        self.deadline += (skipped + 1) * self._interval


class Timers:
    """The timers of one script, from `start` to `stop`."""

    def __init__(self, callbacks: Iterable[TimerCallback], counters: Counters, after: Timers | None = None) -> None:
        """Timers that take the place of `after`: one whose run is not over yet there does not start a second one."""
        kinds: dict[bool, type[_AsyncTimer] | type[_ThreadTimer]] = {True: _AsyncTimer, False: _ThreadTimer}
        self._timers = [kinds[callback.is_async](callback, counters) for callback in callbacks]
        threads = {timer.callback.name: timer.thread for timer in after._timers if isinstance(timer, _ThreadTimer)} if after else {}
        for timer in self._timers:
            if isinstance(timer, _ThreadTimer):
                timer.predecessor = threads.get(timer.callback.name)

    def start(self) -> None:
        """Start the clocks: every first run is one interval from now."""
        for timer in self._timers:
            timer.start()

    async def stop(self, timeout: float) -> None:
        """Start no more runs, and let those under way end, for `timeout` seconds in all; then async ones are cancelled."""
        await asyncio.gather(*(timer.stop(timeout) for timer in self._timers))


class _Timer:
    """What both kinds share: the schedule and the fence around the callback."""

    def __init__(self, callback: TimerCallback, counters: Counters) -> None:
        self.callback = callback
        self.schedule = Schedule(monotonic(), callback.interval)
        self._arguments = () if callback.argument is None else (callback.argument,)
        self._counters = counters

    def restart_clock(self) -> None:
        self.schedule = Schedule(monotonic(), self.callback.interval)

    def failed(self) -> None:
        self._counters.timer_errors[self.callback.name] += 1
        log.exception("timer %s (%s) failed; it runs again at its next tick", self.callback.name, self.callback.where)

    def ended(self) -> None:
        missed = self.schedule.missed
        self.schedule.advance(monotonic())
        self._counters.timer_runs[self.callback.name] += 1
        self._counters.timer_missed[self.callback.name] += self.schedule.missed - missed

    def late(self, timeout: float) -> None:
        log.warning("timer %s did not end within %g s: what it does to queues from now on is not saved", self.callback.name, timeout)


class _AsyncTimer(_Timer):
    def start(self) -> None:
        self.restart_clock()
        self._stopping = self._running = False
        self._task = asyncio.ensure_future(self._loop())

    async def stop(self, timeout: float) -> None:
        self._stopping = True
        if self._running:
            done, _ = await asyncio.wait((self._task,), timeout=timeout)
            if not done:
                self.late(timeout)
        self._task.cancel()
        await asyncio.wait((self._task,), timeout=_CANCEL_TIMEOUT)

    async def _loop(self) -> None:
        while not self._stopping:
            await _sleep_until(self.schedule.deadline)
            self._running = True
            try:
                await timed(self.callback.function(*self._arguments), self._held)
            except asyncio.CancelledError:
                if self._task.cancelling():
                    raise
                self.failed()  # what the callback waited for was cancelled, not the timer
            except GeneratorExit:  # the loop is gone
                raise
            except BaseException:  # the fence around a user's callback
                self.failed()
            self._running = False
            self.ended()

    def _held(self, seconds: float) -> None:
        log.warning(
            "timer %s (%s) held the loop for %.0f ms (limit %.0f); await now and then, or make it a plain def",
            self.callback.name,
            self.callback.where,
            seconds * 1e3,
            SLOW * 1e3,
        )


class _ThreadTimer(_Timer):
    predecessor: threading.Thread | None = None
    """The thread of this timer before a reload, while its last run goes on."""
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.restart_clock()
        self._stopping = threading.Event()
        self._over = asyncio.Event()
        self._asyncio = asyncio.get_running_loop()
        # A daemon: a callback that never returns must not keep the process from ending.
        self.thread = threading.Thread(target=self._loop, name=f"timer {self.callback.name}", daemon=True)
        self.thread.start()

    async def stop(self, timeout: float) -> None:
        self._stopping.set()
        try:
            await asyncio.wait_for(self._over.wait(), timeout)
        except TimeoutError:
            self.late(timeout)

    def _loop(self) -> None:
        if self.predecessor is not None:
            self.predecessor.join()
            self.restart_clock()
        while not self._stopping.wait(max(0.0, self.schedule.deadline - monotonic())):
            try:
                if inspect.iscoroutine(work := self.callback.function(*self._arguments)):
                    work.close()
                    raise TypeError(f"{self.callback.name} returned a coroutine: make the timer an async def")
            except BaseException:  # the fence around a user's callback
                self.failed()
            self.ended()
        try:
            self._asyncio.call_soon_threadsafe(self._over.set)
        except RuntimeError:  # the loop ended first: nobody waits
            log.debug("timer %s ended after its loop", self.callback.name)


async def _sleep_until(deadline: float) -> None:
    delay = deadline - monotonic()
    if delay >= _LOOP_RESOLUTION:
        await asyncio.sleep(delay)
    elif delay > 0:
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, delay)
    else:
        await asyncio.sleep(0)
