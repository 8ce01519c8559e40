"""One queue and what a database keeps of it: the steps of a load and of a save, whose rules are in `persistence`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mqueue.database import FAILURES, Database, explain
from mqueue.engines.base import Added
from mqueue.errors import PersistenceError
from mqueue.patience import Patience
from mqueue.progress import Progress
from mqueue.queue import Queue
from mqueue.recovery import Recovery, RecoveryFile
from mqueue.rows import Pair, Rows
from mqueue.table import QueueTable

log = logging.getLogger("mqueue")

CHUNK = 5000
"""Rows that are in memory at a time, some 2 MB of common ones."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of loading one queue."""

    queue: str
    items: int
    """Items put on the queue, those from recovery files among them; 0 for a save-only queue."""
    dropped: int
    """How many of them went again at once, since the queue's size is less."""
    recovered: int
    """Items that were in recovery files."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What came of saving one queue."""

    queue: str
    items: int
    """Items that the table took."""
    in_recovery_file: int
    """Items that it did not take."""
    recovery_file: Path | None
    """Where they are; None when there are none."""


class KeptQueue:
    """A queue, its table and its recovery files."""

    def __init__(self, queue: Queue, database: Database, recovery: Recovery, progress: Progress) -> None:
        self.loaded = False
        self._queue = queue
        self._name = queue.name
        self._table = QueueTable(database, queue.name)
        self._database = database
        self._recovery = recovery
        self._progress = progress
        self._replaceable: Rows | None = None
        """What the next save replaces: the rows found at the load, or those of the save before. Set when all is on the queue."""
        self._superseded: list[Path] = []
        """Recovery files that the next save makes needless."""

    async def load(self, patience: Patience) -> Loaded:
        """Put on the queue what is kept of it. PersistenceError when that cannot be read."""
        try:
            refused, recovered, superseded = await self._take_recovery_files(patience)
            rows = await patience.attempt(self._doing("reading"), self._rows_at_start)
            items = dropped = 0
            if self._queue.definition.dbmode.loads:
                items, dropped = await self._read(rows, patience)
                items, dropped = items + len(refused), dropped + self._add(refused)
        except FAILURES as error:
            raise PersistenceError(f"queue {self._name!r}: cannot read {self._database.url}: {explain(error)}") from error
        self.loaded, self._replaceable, self._superseded = True, rows, superseded
        return Loaded(self._name, items, dropped, recovered)

    async def save(self, patience: Patience) -> Saved:
        """Put into the table what is queued, or into a recovery file. PersistenceError when neither takes it."""
        try:
            count, refused = await patience.attempt(self._doing("writing"), self._replace)
        except (PersistenceError, *FAILURES) as error:
            log.error("%s: failed: %s", self._doing("writing"), error if isinstance(error, PersistenceError) else explain(error))
            return await self._rescue(0, self._pairs, self._replaceable)
        return await self._rescue(count - len(refused), refused.copy, None)

    async def _rows_at_start(self) -> Rows | None:
        async with self._database.writing() as connection:
            await self._table.prepare(connection)
            newest = await self._table.newest(connection)
        return None if newest is None else Rows(newest)

    async def _read(self, rows: Rows | None, patience: Patience) -> tuple[int, int]:
        """Put `rows` on the queue; the numbers of items read, and of those dropped again."""
        doing = self._doing("reading")
        items = dropped = 0
        total = await patience.attempt(doing, self._table.count, rows) if rows else 0
        while rows:
            chunk = await patience.attempt(doing, self._table.read, rows, CHUNK)
            dropped += self._add((row.key, row.value) for row in chunk)
            items += len(chunk)
            self._progress(self._name, items, max(items, total))
            rows = Rows(rows.upto, chunk[-1].id) if len(chunk) == CHUNK else None
        return items, dropped

    async def _take_recovery_files(self, patience: Patience) -> tuple[list[Pair], int, list[Path]]:
        """Move what is in recovery files into the table; what it refused, the number of all items, the files that have the refused.

        A file goes only when its items are in the table, or in another file that has those which the table refused.
        """
        refused: list[Pair] = []
        recovered, kept = 0, []
        for file in await asyncio.to_thread(self._recovery.find, self._name):
            rest = await patience.attempt(self._doing(f"moving {file.path} into"), self._move, file)
            recovered += file.count
            refused += rest
            if file.whole and file.replaces is None and len(rest) == file.count:
                kept.append(file.path)
                continue
            if rest:
                kept.append(self._recovery.write(self._name, rest.copy, None)[0])
            file.retire()
        return refused, recovered, kept

    async def _move(self, file: RecoveryFile) -> list[Pair]:
        async with self._database.writing() as connection:
            await self._table.prepare(connection)
            if file.whole and file.replaces:  # a damaged file may lack what the table still has
                await self._table.delete(connection, file.replaces)
            refused: list[Pair] = []
            for chunk in _chunks(file.pairs()):
                refused += await self._table.insert(connection, chunk)
        return refused

    async def _replace(self) -> tuple[int, list[Pair]]:
        """Write the queue in one transaction; the number of items, and those that the table refused."""
        refused: list[Pair] = []
        count, total = 0, len(self._queue)
        async with self._database.writing() as connection:
            await self._table.prepare(connection)
            if self._replaceable:
                await self._table.delete(connection, self._replaceable)
            before = await self._table.newest(connection)
            for chunk in _chunks(self._pairs()):
                refused += await self._table.insert(connection, chunk)
                count += len(chunk)
                self._progress(self._name, count, max(count, total))
            after = await self._table.newest(connection)
        self._replaceable = None if after is None or after == before else Rows(after, before)
        return count, refused

    async def _rescue(self, saved: int, pairs: Callable[[], Iterable[Pair]], replaces: Rows | None) -> Saved:
        """Write `pairs` into a recovery file, when there is something to write, and drop the files that are needless now."""
        path, count = None, 0
        if replaces or next(iter(pairs()), None):
            path, count = await asyncio.to_thread(self._recovery.write, self._name, pairs, replaces)
        for needless in self._superseded:
            needless.unlink(missing_ok=True)
        self._superseded = [path] if path else []
        return Saved(self._name, saved, count, path)

    def _pairs(self) -> Iterator[Pair]:
        """What a save writes: nothing for a load-only queue."""
        return ((item.key, item.value) for item in self._queue.items()) if self._queue.definition.dbmode.saves else iter(())

    def _add(self, pairs: Iterable[Pair]) -> int:
        """Put `pairs` on the queue; the number of items that were dropped for it."""
        return sum(self._queue.add(key, value) is Added.DROPPED_OLDEST for key, value in pairs)

    def _doing(self, verb: str) -> str:
        return f"queue {self._name}: {verb} {self._database.url}"


def _chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    left = iter(pairs)
    while chunk := list(islice(left, CHUNK)):
        yield chunk
