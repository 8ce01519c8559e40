"""Queue: a named FIFO of (key, value) items over an engine, with counters and an awaitable `get`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from threading import Lock
from time import monotonic

from mqueue.definition import Definition
from mqueue.engines.base import Added, Engine, Item
from mqueue.engines.memory import memory_engine

_APPENDED = Added.APPENDED  # looked up once: an enum's member costs as much as an append


class Queue:
    """A named queue. Safe to use from several threads and tasks.

    added: items that were put on the queue since it was made.
    fetched: items that were taken from it.
    dropped: items that went unfetched: the oldest of a full queue, or the one that a newer replaced (addmode 2).
    ignored: adds that changed nothing since the key was queued (addmode 1).
    fetched_item: what the running task took last with `mq_fetch`; the registry sets it.
    """

    def __init__(self, definition: Definition, engine: Engine | None = None) -> None:
        self.definition = definition
        self.name = definition.name
        self.added = self.fetched = self.dropped = self.ignored = 0
        self._engine = engine or memory_engine(definition)
        self._lock = Lock()
        # Never given back by contexts that set it, which is no loss: queues live as long as the process.
        self.fetched_item: ContextVar[Item | None] = ContextVar(f"item fetched from {self.name}", default=None)
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._engine)

    def __bool__(self) -> bool:
        """Always True: an empty queue is still a queue. Ask `len()`."""
        return True

    def __repr__(self) -> str:
        return f"<Queue {self.definition}: {len(self)} queued>"

    def add(self, key: str, value: str) -> Added:
        """Append an item; a full queue drops its oldest. TypeError unless both are strings."""
        if not (isinstance(key, str) and isinstance(value, str)):
            raise TypeError(f"queue {self.name!r}: key and value are strings, not {type(key).__name__} and {type(value).__name__}")
        self._lock.acquire()  # a `with` takes twice the time, here and in fetch
        try:
            outcome = self._engine.add(key, value, monotonic())
            if outcome is _APPENDED:
                self.added += 1
            else:
                self._count(outcome)
        finally:
            self._lock.release()
        if self._waiters:
            self._wake()
        return outcome

    def fetch(self) -> Item | None:
        """Take the oldest item; None when the queue is empty."""
        self._lock.acquire()
        try:
            item = self._engine.fetch()
            if item is not None:
                self.fetched += 1
        finally:
            self._lock.release()
        return item

    async def get(self) -> Item:
        """Take the oldest item, waiting for one where there is none. Cancelling loses nothing."""
        while (item := self.fetch()) is None:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            if len(self):  # added by another thread before it could see the waiter
                self._wake()
            try:
                await waiter
            except asyncio.CancelledError:
                self._pass_on(waiter)
                raise
        return item

    def oldest(self) -> Item | None:
        """The oldest item, which stays on the queue; None when it is empty."""
        with self._lock:
            return self._engine.oldest()

    def oldest_age(self) -> float:
        """Seconds since the oldest item was added; 0.0 when the queue is empty."""
        item = self.oldest()
        return monotonic() - item.added if item else 0.0

    def items(self) -> Iterator[Item]:
        """Every queued item, oldest first, as of now; none is taken."""
        with self._lock:
            return self._engine.items()

    def redefine(self, definition: Definition, engine: Engine | None = None) -> None:
        """Give the queue another size, dbmode or addmode. What is queued stays, as far as the new rules allow."""
        with self._lock:
            old, self._engine, self.definition = self._engine, engine or memory_engine(definition), definition
            for item in old.items():
                if self._engine.add(*item) is not Added.APPENDED:
                    self.dropped += 1

    def _count(self, outcome: Added) -> None:
        """Count an add that did not just append."""
        if outcome is Added.IGNORED:
            self.ignored += 1
        else:
            self.added += 1
            self.dropped += 1

    def _wake(self) -> None:
        """Wake the longest waiting `get`, whichever thread this is."""
        while True:
            try:
                waiter = self._waiters.popleft()
            except IndexError:  # another thread was first
                return
            try:
                waiter.get_loop().call_soon_threadsafe(_set, waiter)
                return
            except RuntimeError:  # its loop is closed: nobody waits there any more
                continue

    def _pass_on(self, waiter: asyncio.Future[None]) -> None:
        """A `get` was cancelled: forget it, or hand on the wake-up that it had already."""
        try:
            self._waiters.remove(waiter)
        except ValueError:  # woken
            if len(self):
                self._wake()


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
