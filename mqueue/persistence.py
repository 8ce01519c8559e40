"""Queues kept in a database over restarts. Importing this imports SQLAlchemy (0.25 s): do it when there is a db_url.

The rules, for every queue with a dbmode:

- `load` puts the rows on the queue in the order of id; size and addmode apply. The rows stay in the table.
- `save` replaces, in one transaction, the rows that were there at `load` with what is queued. Rows that another program
  added since stay. A save-only queue replaces what earlier runs saved; a load-only one only deletes what it loaded.
- So an item that was in the table is there until a save ends well. After a kill -9 it is delivered once more: at least once.
- What cannot be saved goes into a recovery file (see `recovery`), which `load` moves into the table before anything else.
- What cannot be loaded is a PersistenceError: no queue starts empty because its database could not be read.

The steps are in `kept`, the SQL in `table`, connections and errors in `database`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from mqueue.database import Database
from mqueue.db_url import DbUrl
from mqueue.errors import PersistenceError
from mqueue.kept import KeptQueue, Loaded, Saved
from mqueue.patience import Patience
from mqueue.progress import Progress
from mqueue.queue import Queue
from mqueue.recovery import Recovery

__all__ = ["Loaded", "Persistence", "Saved"]


class Persistence:
    """The database of some queues. `retry_for` is how long, in seconds, a load or a save puts up with failures in all.

    Raises PersistenceError for a db_url that cannot be used. `queues` may be a Registry: queues defined later are then saved too,
    and loaded by another `load`. `recovery_dir` is by default the directory of the SQLite file, or else the working directory.
    """

    def __init__(
        self,
        queues: Iterable[Queue],
        db_url: str,
        *,
        recovery_dir: Path | None = None,
        retry_for: float = 10.0,
        progress: Progress | None = None,
    ) -> None:
        self._queues = queues if isinstance(queues, Collection) else list(queues)
        self._url = DbUrl.parse(db_url)
        self._database = Database(self._url)
        self._recovery = Recovery(self._url, recovery_dir)
        self._retry_for = retry_for
        self._progress = progress or _silent
        self._kept: dict[Queue, KeptQueue] = {}

    async def load(self) -> list[Loaded]:
        """Put on every queue what was kept of it. One that was loaded before is left out. PersistenceError names what cannot be read."""
        patience = Patience(self._retry_for)
        return [await queue.load(patience) for queue in self._with_dbmode() if not queue.loaded]

    async def save(self) -> list[Saved]:
        """Write what is queued. PersistenceError, after all queues were tried, when not even a recovery file could be written."""
        patience = Patience(self._retry_for)
        saved: list[Saved] = []
        lost: list[str] = []
        for queue in self._with_dbmode():
            try:
                saved.append(await queue.save(patience))
            except PersistenceError as error:
                lost.append(str(error))
        if lost:
            raise PersistenceError("; ".join(lost))
        return saved

    async def close(self) -> None:
        """Let go of the database."""
        await self._database.close()

    def _with_dbmode(self) -> Iterator[KeptQueue]:
        names: dict[str, str] = {}
        for queue in [queue for queue in self._queues if queue.definition.dbmode]:
            other = names.setdefault(queue.name.lower(), queue.name)
            if other != queue.name and self._url.dialect != "postgresql":
                raise PersistenceError(f"queues {other!r} and {queue.name!r} would share a table of {self._url}; rename one")
            if queue not in self._kept:
                self._kept[queue] = KeptQueue(queue, self._database, self._recovery, self._progress)
            yield self._kept[queue]


def _silent(queue: str, done: int, total: int, /) -> None:
    """Show nothing."""
