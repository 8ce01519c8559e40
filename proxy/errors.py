"""What can go wrong around a route and in a load, as one tree. Errors of the wire are in `proxy.sip.errors`, of queues in `mqueue.errors`.

ProxyError
├── ConfigError              an argument of the command line is wrong
├── ScriptError              the route file cannot be used; carries every problem found
├── PseudoVariableError      a pseudo-variable that does not exist
├── RequestError             a request was treated in a way that cannot be, such as answered twice
└── LoadError                a load or the demo could not be run: a program, an address or a scenario is missing
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.script import Problem


class ProxyError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(ProxyError, ValueError):
    """A wrong argument; the message names it, what is allowed, and the remedy."""


class ScriptError(ProxyError):
    """A route file with problems, each with its file and line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class PseudoVariableError(ProxyError, ValueError):
    """A pseudo-variable that does not exist or is written wrongly."""


class RequestError(ProxyError, RuntimeError):
    """A reply or a forward of a request that was answered, forwarded or dropped already."""


class LoadError(ProxyError):
    """A load that could not be run; the message holds the remedy. Calls that failed are no error: they are in the Result."""
