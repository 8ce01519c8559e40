"""Kamailio's rtimer parameters."""

from __future__ import annotations

import pytest

from proxy.rtimer import resolve
from proxy.script import RtimerParameter, Script, TimerCallback, Where


def tick(event: str) -> None:
    """A plain timer function."""


async def tick_async(event: str) -> None:
    """An async timer function."""


NAMESPACE: dict[str, object] = {"tick": tick, "tick_async": tick_async, "NOT_A_FUNCTION": 5}


def resolved(*parameters: tuple[str, str]) -> Script:
    script = Script(file="routes.py")
    script.rtimer = [RtimerParameter(name, value, Where("routes.py", line)) for line, (name, value) in enumerate(parameters, 1)]
    resolve(script, NAMESPACE)
    return script


def timer_of(definition: str) -> TimerCallback:
    script = resolved(("timer", definition), ("exec", "timer=ta;route=tick"))
    assert script.problems == []
    return script.timers[0]


@pytest.mark.parametrize(
    ("definition", "interval", "mode"),
    [
        ("name=ta;interval=10;mode=1;", 10.0, 1),
        ("name=ta;interval=10", 10.0, 0),
        ("name=ta", 120.0, 0),
        ("name=ta;interval=100000u", 0.1, 1),
        ("name=ta;interval=250U;mode=0", 0.00025, 1),
        ("name=ta;interval=1u;mode=3", 0.000001, 3),
        (" NAME = ta ; Interval = 2 ;; mode=4 ", 2.0, 4),
    ],
)
def test_timer(definition: str, interval: float, mode: int) -> None:
    timer = timer_of(definition)
    assert (timer.interval, timer.mode, timer.name, timer.function, timer.argument) == (interval, mode, "ta:tick", tick, "rtimer")
    assert timer.where == Where.of(tick)


def test_one_timer_runs_several_functions() -> None:
    script = resolved(("timer", "name=ta;interval=1"), ("exec", "timer=ta;route=tick"), ("exec", "timer=ta;route=tick_async"))
    assert [(timer.name, timer.is_async) for timer in script.timers] == [("ta:tick", False), ("ta:tick_async", True)]


def test_a_timer_without_functions_does_nothing() -> None:
    script = resolved(("timer", "name=ta"))
    assert (script.timers, script.problems) == ([], [])


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("", "no name in ''"),
        ("interval=5", "no name in 'interval=5': add name=NAME"),
        ("name=", "no name"),
        ("name=ta;interval=0", "interval=0: allowed is seconds > 0, or microseconds with a trailing u"),
        ("name=ta;interval=0u", "interval=0u: allowed"),
        ("name=ta;interval=-1", "interval=-1: allowed"),
        ("name=ta;interval=1.5", "interval=1.5: allowed"),
        ("name=ta;interval=u", "interval=u: allowed"),
        ("name=ta;interval=", "interval=: allowed"),
        ("name=ta;interval=10ms", "interval=10ms: allowed"),
        ("name=ta;interval=\u00b2", "interval=\u00b2: allowed"),
        ("name=ta;mode=x", "mode=x: allowed is 0"),
        ("name=ta;mode=-1", "mode=-1: allowed is 0"),
        ("name=ta;mode=\u00b2", "mode=\u00b2: allowed is 0"),
        ("name=ta;color=red", "unknown attribute 'color' in 'name=ta;color=red'; known are name, interval, mode"),
        ("ta", "unknown attribute 'ta'"),
    ],
)
def test_a_wrong_timer(definition: str, words: str) -> None:
    script = resolved(("timer", definition))
    assert len(script.problems) == 1
    assert str(script.problems[0]).startswith('routes.py:1: modparam("rtimer", "timer"): ')
    assert words in str(script.problems[0])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("timer=tb;route=tick", "there is no timer 'tb'; there is ta"),
        ("route=tick", "there is no timer ''"),
        ("timer=ta;route=nope", "the route file has no function 'nope'; define it"),
        ("timer=ta;route=NOT_A_FUNCTION", "has no function 'NOT_A_FUNCTION'"),
        ("timer=ta", "has no function ''"),
        ("timer=ta;rout=tick", "unknown attribute 'rout' in 'timer=ta;rout=tick'; known are timer, route"),
    ],
)
def test_a_wrong_exec(value: str, words: str) -> None:
    script = resolved(("timer", "name=ta"), ("exec", value))
    assert len(script.problems) == 1
    assert str(script.problems[0]).startswith('routes.py:2: modparam("rtimer", "exec"): ')
    assert words in str(script.problems[0])
    assert script.timers == []


def test_other_mistakes() -> None:
    script = resolved(("exec", "timer=ta;route=tick"), ("timer", "name=ta"), ("timer", "name=ta"), ("nosuch", "x"))
    assert [problem.message.partition(": ")[2] for problem in script.problems] == [
        "there is no timer 'ta'; there is none; define it in a line above",
        "timer 'ta' is defined twice",
        "module rtimer has no parameter 'nosuch'; it has timer, exec",
    ]
