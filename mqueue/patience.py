"""Trying again what a database could not do just now: a lock, a full disk, a server that is starting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import ParamSpec, TypeVar

from mqueue.database import FAILURES, explain, is_passing

log = logging.getLogger("mqueue")
P = ParamSpec("P")
T = TypeVar("T")

_FIRST_PAUSE = 0.05  # seconds
_LONGEST_PAUSE = 1.0  # seconds


class Patience:
    """Attempts with pauses between, each twice as long as the one before, for `seconds` in all from the first failure on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None
        self._pause = _FIRST_PAUSE

    async def attempt(self, doing: str, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns. A failure that cannot pass, or the last one, is raised; the others are logged as of `doing`."""
        while True:
            try:
                return await work(*args, **kwargs)
            except FAILURES as error:
                if not is_passing(error) or self._left() <= 0:
                    raise
                log.warning("%s: not yet: %s; tried again for %.1f s", doing, explain(error), self._left())
                await self._wait()

    def _left(self) -> float:
        if self._deadline is None:
            self._deadline = monotonic() + self._seconds
        return self._deadline - monotonic()

    async def _wait(self) -> None:
        await asyncio.sleep(max(0.0, min(self._pause, self._left())))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
