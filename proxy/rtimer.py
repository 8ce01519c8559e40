"""Kamailio's rtimer parameters: named timers, and the functions that each runs.

modparam("rtimer", "timer", "name=ta;interval=10;mode=1;")
modparam("rtimer", "timer", "name=tb;interval=100000u")       microseconds
modparam("rtimer", "exec", "timer=ta;route=NAME")             a function of the route file, called with "rtimer"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.script import RtimerParameter, Script, TimerCallback, Where, is_async

_EVENT_NAME = "rtimer"  # what Kamailio hands to the function
_DEFAULT_INTERVAL = "120"  # seconds, as in Kamailio


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    interval: float  # seconds
    mode: int


class _WrongParameter(ValueError):
    """A parameter of rtimer that cannot be used."""


def resolve(script: Script, namespace: Mapping[str, object]) -> None:
    """Turn the rtimer parameters of `script` into timers that call functions of `namespace`; mistakes become problems."""
    timers: dict[str, _Named] = {}
    for parameter in script.rtimer:
        try:
            if parameter.name == "timer":
                _add_timer(timers, parameter)
            elif parameter.name == "exec":
                script.timers.append(_callback(timers, parameter, namespace))
            else:
                raise _WrongParameter(f"module rtimer has no parameter {parameter.name!r}; it has timer, exec")
        except _WrongParameter as error:
            script.problem(parameter.where, f'modparam("rtimer", "{parameter.name}"): {error}')


def _add_timer(timers: dict[str, _Named], parameter: RtimerParameter) -> None:
    values = _values(parameter.value, ("name", "interval", "mode"))
    name = values.get("name")
    if not name:
        raise _WrongParameter(f"no name in {parameter.value!r}: add name=NAME")
    if name in timers:
        raise _WrongParameter(f"timer {name!r} is defined twice")
    raw = values.get("interval", _DEFAULT_INTERVAL)
    digits, micro = (raw[:-1], True) if raw[-1:] in ("u", "U") else (raw, False)
    if not (digits.isascii() and digits.isdigit()) or not int(digits):
        raise _WrongParameter(f"interval={raw}: allowed is seconds > 0, or microseconds with a trailing u")
    mode = values.get("mode", "0")
    if not (mode.isascii() and mode.isdigit()):
        raise _WrongParameter(f"mode={mode}: allowed is 0 (the shared timer) or a number of timer processes")
    # Kamailio runs a timer in microseconds in a process of its own, whatever mode says.
    timers[name] = _Named(name, int(digits) / 1e6, int(mode) or 1) if micro else _Named(name, float(digits), int(mode))


def _callback(timers: Mapping[str, _Named], parameter: RtimerParameter, namespace: Mapping[str, object]) -> TimerCallback:
    values = _values(parameter.value, ("timer", "route"))
    timer = timers.get(values.get("timer", ""))
    if timer is None:
        known = ", ".join(timers) or "none; define it in a line above"
        raise _WrongParameter(f"there is no timer {values.get('timer', '')!r}; there is {known}")
    route = values.get("route", "")
    function = namespace.get(route)
    if not callable(function):
        raise _WrongParameter(f"the route file has no function {route!r}; define it, it is called with one string")
    where = Where.of(function)
    return TimerCallback(f"{timer.name}:{route}", function, timer.interval, where, is_async(function), timer.mode, _EVENT_NAME)


def _values(text: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name.lower() not in known:
            raise _WrongParameter(f"unknown attribute {name!r} in {text!r}; known are {', '.join(known)}")
        found[name.lower()] = value
    return found
