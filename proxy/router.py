"""Runs the callbacks of a script behind the error fence."""

from __future__ import annotations

import asyncio
import inspect
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from time import perf_counter
from typing import Any

from proxy.counters import Counters
from proxy.log import current_request
from proxy.request import Request
from proxy.script import RouteCallback, Script

log = logging.getLogger("mqproxy.route")

SLOW = 0.1  # seconds that a callback may hold the loop without a warning
_MOST_TASKS = 10_000  # async callbacks under way


class Router:
    """Calls the function that a script has for a request."""

    def __init__(self, script: Script, counters: Counters) -> None:
        self.script = script
        self._counters = counters
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, request: Request) -> None:
        """Call the route of the request: a plain function at once, an async one in a task."""
        script = self.script
        callback = script.routes.get(request.method, script.default_route)
        if callback is None:
            self._refuse_method(request)
        elif callback.is_async:
            self._start(callback, request)
        else:
            token = current_request.set(request)
            started = perf_counter()
            try:
                result = callback.function(request)
            except BaseException:  # the fence around a user's callback; Ctrl-C comes as a signal, not here
                self._failed(callback, request)
                result = None
            seconds = perf_counter() - started
            if seconds > SLOW:
                warn_slow(callback, seconds)
            if result is not None and inspect.isawaitable(result):
                self._start(callback, request, result)
            elif not request.is_decided:
                self._undecided(callback, request)
            current_request.reset(token)

    async def finish(self, timeout: float) -> None:
        """Let async callbacks end, for `timeout` seconds at most; the others are cancelled."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=timeout)
        for task in late:
            task.cancel()
        if late:
            log.warning("%d route callbacks did not end within %g s and were cancelled", len(late), timeout)

    def _start(self, callback: RouteCallback, request: Request, work: Awaitable[object] | None = None) -> None:
        """Run an async callback, or the `work` that a plain one returned."""
        if len(self._tasks) >= _MOST_TASKS:
            self._counters.drops["too many async callbacks"] += 1
            request.reply(503, headers={"Retry-After": "1"})
            return
        task = asyncio.ensure_future(self._run_async(callback, request, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_async(self, callback: RouteCallback, request: Request, work: Awaitable[object] | None) -> None:
        current_request.set(request)
        try:
            await timed(_awaited(work) if work else callback.function(request), lambda seconds: warn_slow(callback, seconds))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self._counters.drops["route cancelled at shutdown"] += not request.is_decided
                raise
            self._failed(callback, request)  # what the callback waited for was cancelled, not the callback
        except GeneratorExit:  # the loop is gone
            raise
        except BaseException:  # the fence around a user's callback
            self._failed(callback, request)
        if not request.is_decided:
            self._undecided(callback, request)

    def _failed(self, callback: RouteCallback, request: Request) -> None:
        self._counters.route_errors[callback.name] += 1
        log.exception("route %s (%s) failed on %s", callback.name, callback.where, request.method)
        if not request.is_decided:
            request.reply(500)

    def _undecided(self, callback: RouteCallback, request: Request) -> None:
        self._counters.drops["no answer by route"] += 1
        log.debug("route %s returned without reply, forward or drop: %s is dropped", callback.name, request.method)

    def _refuse_method(self, request: Request) -> None:
        if request.method == "ACK":
            self._counters.drops["no route for ACK"] += 1
        else:
            request.reply(405, headers={"Allow": ", ".join(self.script.routes)})


async def _awaited(work: Awaitable[object]) -> None:
    await work


def warn_slow(callback: RouteCallback, seconds: float) -> None:
    """Tell the user that a callback held the loop, and what to do instead."""
    log.warning(
        "route %s (%s) held the loop for %.0f ms; put the slow work on a queue, or await it", callback.name, callback.where, seconds * 1e3
    )


@types.coroutine
def timed(coroutine: Coroutine[Any, Any, Any], slow: Callable[[float], None]) -> Generator[Any, Any, None]:
    """Run a coroutine; `slow` is called with the seconds of each stretch in which it held the loop for too long."""
    step: Callable[[Any], Any] = coroutine.send
    argument: Any = None
    while True:
        started = perf_counter()
        try:
            awaited = step(argument)
        except StopIteration:
            return
        finally:
            if perf_counter() - started > SLOW:
                slow(perf_counter() - started)
        try:
            step, argument = coroutine.send, (yield awaited)
        except BaseException as error:  # cancellation, or the awaited thing's error: it belongs in the coroutine
            step, argument = coroutine.throw, error
