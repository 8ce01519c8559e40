"""The one interface between a queue and the place where its items live.

An engine applies size and addmode itself, because only it can do so in one step with the add. Every engine passes
`tests/mqueue/engine_contract.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, Protocol


class Item(NamedTuple):
    """What a queue holds: a key, a value, and when it was added (seconds on the monotonic clock)."""

    key: str
    value: str
    added: float


class Added(Enum):
    """What became of an add."""

    APPENDED = "appended"
    """The item is the newest of the queue."""
    DROPPED_OLDEST = "dropped oldest"
    """The same, and the oldest item went since the queue was full."""
    REPLACED = "replaced"
    """The same, and the queued item with this key went (addmode 2)."""
    IGNORED = "ignored"
    """Nothing changed: the key is queued already (addmode 1)."""


class Engine(Protocol):
    """The items of one queue, oldest first. Calls do not overlap: the queue holds a lock around each."""

    def add(self, key: str, value: str, added: float) -> Added:
        """Append an item under the rules of size and addmode."""

    def fetch(self) -> Item | None:
        """Take the oldest item; None when there is none."""

    def oldest(self) -> Item | None:
        """The oldest item, which stays; None when there is none."""

    def items(self) -> Iterator[Item]:
        """Every item, oldest first, as they were when the call was made; none is taken."""

    def __len__(self) -> int:
        """The number of items."""
