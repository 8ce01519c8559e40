"""Items in the memory of one process: two engines, for keys that may repeat and for unique ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mqueue.definition import AddMode, Definition
from mqueue.engines.base import Added, Engine, Item

# A plain tuple takes no room in the garbage collector's lists once it was seen there, a named one does.
_Stored = tuple[str, str, float]


def memory_engine(definition: Definition) -> Engine:
    """The engine that keeps `definition`'s items in this process."""
    return FifoEngine(definition) if definition.addmode is AddMode.APPEND else UniqueEngine(definition)


class FifoEngine:
    """Items in the order of their adds; keys may repeat (addmode 0)."""

    def __init__(self, definition: Definition) -> None:
        self._size = definition.size
        self._items: deque[_Stored] = deque()

    def add(self, key: str, value: str, added: float) -> Added:
        items = self._items
        items.append((key, value, added))
        if self._size and len(items) > self._size:
            items.popleft()
            return Added.DROPPED_OLDEST
        return Added.APPENDED

    def fetch(self) -> Item | None:
        return Item(*self._items.popleft()) if self._items else None

    def oldest(self) -> Item | None:
        return Item(*self._items[0]) if self._items else None

    def items(self) -> Iterator[Item]:
        return map(Item._make, self._items.copy())

    def __len__(self) -> int:
        return len(self._items)


class UniqueEngine:
    """One item for each key (addmode 1 and 2), every call in constant time.

    `_live` has the item of each key. `_order` has the order of the adds; what a newer item replaced stays there until it
    comes to the front, or until such leftovers outnumber the items and are swept.
    """

    def __init__(self, definition: Definition) -> None:
        self._size = definition.size
        self._keep_oldest = definition.addmode is AddMode.UNIQUE_OLDEST
        self._live: dict[str, _Stored] = {}
        self._order: deque[_Stored] = deque()

    def add(self, key: str, value: str, added: float) -> Added:
        replaces = key in self._live
        if replaces and self._keep_oldest:
            return Added.IGNORED
        stored = (key, value, added)
        self._live[key] = stored
        self._order.append(stored)
        if replaces:
            self._sweep()
            return Added.REPLACED
        if self._size and len(self._live) > self._size:
            self.fetch()
            return Added.DROPPED_OLDEST
        return Added.APPENDED

    def fetch(self) -> Item | None:
        while self._order:
            stored = self._order.popleft()
            if self._is_live(stored):
                del self._live[stored[0]]
                return Item(*stored)
        return None

    def oldest(self) -> Item | None:
        while self._order and not self._is_live(self._order[0]):
            self._order.popleft()
        return Item(*self._order[0]) if self._order else None

    def items(self) -> Iterator[Item]:
        return map(Item._make, [stored for stored in self._order if self._is_live(stored)])

    def __len__(self) -> int:
        return len(self._live)

    def _is_live(self, stored: _Stored) -> bool:
        return self._live.get(stored[0]) is stored

    def _sweep(self) -> None:
        if len(self._order) > 2 * len(self._live) + 64:
            self._order = deque(filter(self._is_live, self._order))
