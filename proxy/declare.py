"""The declarations of a route file: `route.request`, `timer`, `modparam`. Mistakes become problems with file and line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

from mqueue import DefinitionError
from proxy.script import RouteCallback, RouteFunction, RtimerParameter, TimerCallback, TimerFunction, Where, current, is_async
from proxy.sip.names import METHODS, TOKEN

_Route = TypeVar("_Route", bound=RouteFunction)
_Timer = TypeVar("_Timer", bound=TimerFunction)

MODULES = ("mqueue", "rtimer")
_SHORTEST = 1e-6  # seconds, of a timer's interval
_REGISTERED = frozenset(METHODS.values())


class _RouteDeclarations:
    """The decorators under ``route``."""

    def request(self, *methods: str) -> Callable[[_Route], _Route]:
        """Call the function for requests of these methods; without methods, for all that no other route names.

        The function takes a Request and is plain or async. A plain one runs at once, in the way of every other request:
        what takes long belongs on a queue.
        """
        where = Where.caller()
        if methods and callable(methods[0]):  # @route.request: what stands below never gets to `declare`
            _declare_route(methods, methods[0], where)

        def declare(function: _Route) -> _Route:
            _declare_route(methods, function, where)
            return function

        return declare


route = _RouteDeclarations()


def timer(interval: float, name: str | None = None) -> Callable[[_Timer], _Timer]:
    """Call the function every `interval` seconds (a fraction is fine, less than a millisecond too), starting one interval from now.

    Deadlines are absolute, a missed tick is skipped, a run that is not over is not started twice. An async function runs on
    the loop of the proxy; a plain one in a thread of its own, where it cannot stop SIP.
    """
    where = Where.caller()
    if callable(interval):  # @timer: what stands below never gets to `declare`
        current().problem(where, f"timer {getattr(interval, '__name__', interval)}: write @timer(interval=SECONDS) with brackets")

    def declare(function: _Timer) -> _Timer:
        title = name or str(getattr(function, "__name__", "timer"))
        mistake = _timer_mistake(interval, function)
        if mistake:
            current().problem(where, f"timer {title}: {mistake}")
        else:
            current().timers.append(TimerCallback(title, function, float(interval), Where.of(function), is_async(function)))
        return function

    return declare


def modparam(module: str, name: str, value: str | int) -> None:
    """Set a parameter of a module, as in kamailio.cfg: ``modparam("mqueue", "mqueue", "name=q;size=20")``."""
    where = Where.caller()
    script = current()
    if module == "mqueue":
        try:
            script.mqueue.set(name, value)
        except DefinitionError as error:
            script.problem(where, f'modparam("mqueue", "{name}"): {error}')
        if name == "db_url":
            script.db_url_at = where
    elif module == "rtimer":
        script.rtimer.append(RtimerParameter(name, str(value), where))
    else:
        script.problem(where, f"modparam: there is no module {module!r} here; there are {', '.join(MODULES)}")


def _timer_mistake(interval: object, function: object) -> str | None:
    if not isinstance(interval, int | float) or isinstance(interval, bool) or not _SHORTEST <= interval < float("inf"):
        return f"interval={interval!r}; allowed is a number of seconds > 0, a microsecond at least"
    return _function_mistake(function, (), "timer(...)")


def _function_mistake(function: object, arguments: tuple[object, ...], decorator: str) -> str | None:
    """What keeps `function` from being called with so many arguments."""
    if not callable(function):
        return f"{function!r} is no function; put @{decorator} above a def"
    wanted = "one argument, the Request" if arguments else "no arguments"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return "it yields, so nothing in it would run; write a def or an async def without yield"
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        return f"it is called with {wanted}: {error}"
    except ValueError:  # written in C, without a signature
        return None
    return None


def _route_mistake(methods: tuple[object, ...], function: object) -> str | None:
    mistake = _function_mistake(function, (None,), "route.request(...)")
    if mistake:
        return mistake
    wrong = [method for method in methods if not isinstance(method, str) or not TOKEN.fullmatch(method.encode())]
    if wrong:
        hint = "; write @route.request() with brackets" if callable(wrong[0]) else ""
        return f"{wrong[0]!r} is no SIP method{hint}"
    for method in map(str, methods):
        if method not in _REGISTERED and method.upper() in _REGISTERED:
            return f"{method!r} is another method than {method.upper()!r}, capitals count (RFC 3261 section 25.1); write {method.upper()!r}"
    return None


def _declare_route(methods: tuple[str, ...], function: RouteFunction, where: Where) -> None:
    script = current()
    title = getattr(function, "__name__", "route")
    mistake = _route_mistake(methods, function)
    if mistake:
        script.problem(where, f"route {title}: {mistake}")
        return
    callback = RouteCallback(title, function, methods, Where.of(function), is_async(function))
    taken = {method: script.routes[method] for method in methods if method in script.routes}
    if not methods and script.default_route:
        taken = {"every other method": script.default_route}
    for method, other in taken.items():
        script.problem(where, f"route {title}: {method} has a route already, {other.name} at {other.where}")
    if taken:
        return
    if not methods:
        script.default_route = callback
    for method in methods:
        script.routes[method] = callback
