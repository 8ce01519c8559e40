"""What one route file declares: routes, timers, module parameters, and the problems found in it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mqueue import Parameters

if TYPE_CHECKING:
    from proxy.request import Request

RouteFunction = Callable[["Request"], Any]
TimerFunction = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file, as editors and people write it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    @classmethod
    def caller(cls) -> Where:
        """The line that called the function that calls this."""
        frame = sys._getframe(2)
        return cls(frame.f_code.co_filename, frame.f_lineno)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Where:
        """The line where a function is defined."""
        code = getattr(inspect.unwrap(function), "__code__", None)
        return cls(code.co_filename, code.co_firstlineno) if code else cls("?", 0)


def is_async(function: Callable[..., Any]) -> bool:
    """True for a function, or an object with a call, whose result is to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a route file from being used."""

    where: Where
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class RouteCallback:
    """A function that takes requests. methods is empty for the one that takes all that no other names."""

    name: str
    function: RouteFunction
    methods: tuple[str, ...]
    where: Where
    is_async: bool


@dataclass(frozen=True, slots=True)
class TimerCallback:
    """A function that runs every `interval` seconds; `argument` is what it is given (rtimer gives its event name), or nothing."""

    name: str
    function: TimerFunction
    interval: float
    where: Where
    is_async: bool
    mode: int = 1
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class RtimerParameter:
    """One ``modparam("rtimer", ...)``, kept until the whole file is read, since it may name functions further down."""

    name: str
    value: str
    where: Where


@dataclass
class Script:
    """Everything that a route file declares, in its order."""

    file: str = ""
    routes: dict[str, RouteCallback] = field(default_factory=dict)  # by method
    default_route: RouteCallback | None = None
    timers: list[TimerCallback] = field(default_factory=list)
    mqueue: Parameters = field(default_factory=Parameters)
    rtimer: list[RtimerParameter] = field(default_factory=list)
    db_url_at: Where | None = None
    problems: list[Problem] = field(default_factory=list)

    def problem(self, where: Where, message: str) -> None:
        """Note a problem; loading goes on, so that all are shown at once."""
        self.problems.append(Problem(where, message))

    def all_routes(self) -> list[RouteCallback]:
        """Every route once, in the order of the file, the one for every other method last."""
        named = list(dict.fromkeys(self.routes.values()))
        return [*named, self.default_route] if self.default_route else named


_current = Script()


def current() -> Script:
    """The script that is being read: what the declarations of a route file are added to."""
    return _current


def make_current(script: Script) -> Script:
    """Let declarations go to `script`; the one they went to before."""
    global _current
    before, _current = _current, script
    return before
