"""The queues by name, and Kamailio's calls on them.

`mq_add`, `mq_fetch`, `mq_size` and `mq_pv_free` return what they return in a KEMI script. The item that `mq_fetch` took is
readable through `mqk` and `mqv` until the next fetch of that queue, by the task that fetched it, by tasks that it starts later, and
by nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from mqueue.definition import Definition
from mqueue.engines.base import Engine, Item
from mqueue.errors import DefinitionError
from mqueue.queue import Queue

log = logging.getLogger("mqueue")


class Registry:
    """Queues by name, in the order of their definition."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._reopened: set[str] = set()

    def define(self, definition: Definition | str, engine: Engine | None = None) -> Queue:
        """Make a queue from a Definition or from Kamailio's syntax; DefinitionError when the name is taken."""
        if isinstance(definition, str):
            definition = Definition.parse(definition)
        if definition.name in self._reopened:
            self._reopened.discard(definition.name)
            queue = self._queues[definition.name]
            if queue.definition != definition or engine is not None:
                queue.redefine(definition, engine)
            return queue
        if definition.name in self._queues:
            raise DefinitionError(f"mqueue redefined: {definition.name}; a name is given to one queue")
        queue = self._queues[definition.name] = Queue(definition, engine)
        return queue

    def reopen(self) -> None:
        """Let each queue that is there be defined once more, as a file that is read again does: it keeps what is on it."""
        self._reopened = set(self._queues)

    def clear(self) -> None:
        """Forget every queue and what is on it."""
        self._queues.clear()
        self._reopened.clear()

    def get(self, name: str) -> Queue | None:
        """The queue of this name, or None."""
        return self._queues.get(name)

    def __getitem__(self, name: str) -> Queue:
        return self._queues[name]

    def __contains__(self, name: object) -> bool:
        return name in self._queues

    def __iter__(self) -> Iterator[Queue]:
        return iter(list(self._queues.values()))

    def __len__(self) -> int:
        return len(self._queues)

    def mq_add(self, name: str, key: str, value: str) -> int:
        """Append an item: 1, or -1 when there is no such queue. A full queue drops its oldest item. TypeError for other than strings."""
        queue = self._queues.get(name)
        if queue is None:
            log.error("mq_add: %s", self._unknown(name))
            return -1
        queue.add(key, value)
        return 1

    def mq_fetch(self, name: str) -> int:
        """Take the oldest item for `mqk` and `mqv`: 1, -1 when there is no such queue, -2 when it is empty."""
        queue = self._queues.get(name)
        if queue is None:
            log.error("mq_fetch: %s", self._unknown(name))
            return -1
        item = queue.fetch()
        queue.fetched_item.set(item)
        return -2 if item is None else 1

    def mq_pv_free(self, name: str) -> int:
        """Let go of the fetched item: always 1."""
        queue = self._queues.get(name)
        if queue is not None:
            queue.fetched_item.set(None)
        return 1

    def mq_size(self, name: str) -> int:
        """The number of items, 0 when empty; -1 when there is no such queue."""
        queue = self._queues.get(name)
        if queue is None:
            log.error("mq_size: %s", self._unknown(name))
            return -1
        return len(queue)

    def fetched(self, name: str) -> Item | None:
        """The item that this task fetched last from the queue; None when there is none."""
        queue = self._queues.get(name)
        return None if queue is None else queue.fetched_item.get()

    def mqk(self, name: str) -> str | None:
        """The key of the fetched item, `$mqk(name)`; None when nothing is fetched."""
        item = self.fetched(name)
        return item.key if item else None

    def mqv(self, name: str) -> str | None:
        """The value of the fetched item, `$mqv(name)`; None when nothing is fetched."""
        item = self.fetched(name)
        return item.value if item else None

    def _unknown(self, name: str) -> str:
        return f"no queue {name!r}; defined are {', '.join(self._queues) or 'none'}"
