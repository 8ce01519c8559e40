"""Which sender plays a scenario."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from proxy.errors import LoadError
from proxy.load import runner
from proxy.load import sender as builtin
from proxy.load.job import Job
from proxy.load.result import OnSample, Result

Send = Callable[[Job, OnSample, asyncio.Event], Awaitable[Result]]

MISSING = "SIPp is not installed (apt-get install sip-tester): the built-in sender is used"


def sender(name: str) -> tuple[Send, str | None]:
    """What plays a scenario for `auto`, `sipp` or `builtin`, and a remark for the user. LoadError when sipp is asked for and missing."""
    if name == "builtin":
        return builtin.run, None
    if runner.is_installed():
        return runner.run, None
    if name == "sipp":
        raise LoadError(runner.REMEDY)
    return builtin.run, MISSING
