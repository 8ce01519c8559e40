"""Items in the memory of one process: two engines, for keys that may repeat and for unique ones."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import compress
from typing import Any

from mqueue.definition import AddMode, Definition
from mqueue.engines.base import Added, Engine, Item

_APPENDED, _DROPPED_OLDEST, _REPLACED, _IGNORED = Added  # looked up here once: an enum's member costs as much as an append
_item = partial(tuple.__new__, Item)  # an Item of a tuple, in half the time of Item(*stored)


def memory_engine(definition: Definition) -> Engine:
    """The engine that keeps `definition`'s items in this process."""
    return FifoEngine(definition) if definition.addmode is AddMode.APPEND else UniqueEngine(definition)


class FifoEngine:
    """Items in the order of their adds; keys may repeat (addmode 0).

    `_items` has key, value and time of each item one after the other: a tuple for each would take 48 bytes more.
    """

    def __init__(self, definition: Definition) -> None:
        self._size = 3 * definition.size or sys.maxsize
        self._items: deque[Any] = deque()

    def add(self, key: str, value: str, added: float) -> Added:
        items = self._items
        items.extend((key, value, added))
        if len(items) > self._size:
            self.fetch()
            return _DROPPED_OLDEST
        return _APPENDED

    def fetch(self) -> Item | None:
        items = self._items
        return _item((items.popleft(), items.popleft(), items.popleft())) if items else None

    def oldest(self) -> Item | None:
        items = self._items
        return _item((items[0], items[1], items[2])) if items else None

    def items(self) -> Iterator[Item]:
        flat = iter(self._items.copy())
        return map(_item, zip(flat, flat, flat, strict=True))

    def __len__(self) -> int:
        return len(self._items) // 3


class UniqueEngine:
    """One item for each key (addmode 1 and 2), every call in constant time.

    `_values` has the value of each key, `_keys` and `_times` have the order of the adds. The place of an item that a newer one
    replaced stays there until it comes to the front, or until such places outnumber the items and are swept. `_stale` counts
    them by key: the last place of a key is the item's, those before it are stale.
    """

    def __init__(self, definition: Definition) -> None:
        self._size = definition.size or sys.maxsize
        self._keeps_oldest = definition.addmode is AddMode.UNIQUE_OLDEST
        self._values: dict[str, str] = {}
        self._keys: deque[str] = deque()
        self._times: deque[float] = deque()
        self._stale: dict[str, int] = {}

    def add(self, key: str, value: str, added: float) -> Added:
        values = self._values
        queued = key in values
        if queued and self._keeps_oldest:
            return _IGNORED
        values[key] = value
        self._keys.append(key)
        self._times.append(added)
        if queued:
            self._stale[key] = self._stale.get(key, 0) + 1
            self._sweep()
            return _REPLACED
        if len(values) > self._size:
            self._skip_stale()
            del values[self._keys.popleft()]
            self._times.popleft()
            return _DROPPED_OLDEST
        return _APPENDED

    def fetch(self) -> Item | None:
        self._skip_stale()
        if not self._keys:
            return None
        key = self._keys.popleft()
        return _item((key, self._values.pop(key), self._times.popleft()))

    def oldest(self) -> Item | None:
        self._skip_stale()
        return _item((self._keys[0], self._values[self._keys[0]], self._times[0])) if self._keys else None

    def items(self) -> Iterator[Item]:
        keys, times = self._order()
        values = [self._values[key] for key in keys]
        return map(_item, zip(keys, values, times, strict=True))

    def __len__(self) -> int:
        return len(self._values)

    def _skip_stale(self) -> None:
        while self._stale and self._is_stale(self._keys[0], self._stale):
            self._keys.popleft()
            self._times.popleft()

    def _sweep(self) -> None:
        if len(self._keys) > 2 * len(self._values) + 64:
            self._keys, self._times = self._order()
            self._stale.clear()

    def _order(self) -> tuple[deque[str], deque[float]]:
        """Keys and times without the stale ones."""
        if not self._stale:
            return self._keys.copy(), self._times.copy()
        left = self._stale.copy()
        live = [not self._is_stale(key, left) for key in self._keys]
        return deque(compress(self._keys, live)), deque(compress(self._times, live))

    @staticmethod
    def _is_stale(key: str, stale: dict[str, int]) -> bool:
        """True when this place of `key`, the first, is a stale one; it is counted off."""
        count = stale.get(key)
        if count is None:
            return False
        if count > 1:
            stale[key] = count - 1
        else:
            del stale[key]
        return True
