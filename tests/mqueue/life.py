"""One life of a program with queues: it loads, works, saves and ends. What happens in between is the test's matter."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mqueue import Registry
from mqueue.persistence import Loaded, Persistence, Saved
from tests.mqueue import sqlite_file

Pairs = list[tuple[str, str]]
THREE: Pairs = [("a", "1"), ("b", "2"), ("c", "3")]


class Life:
    """A program with the queues of `definitions`, kept in an SQLite file or at a db_url."""

    def __init__(self, file: Path | str, *definitions: str, retry_for: float = 0.3, recovery_dir: Path | None = None) -> None:
        self.registry = Registry()
        for text in definitions or ("name=q;dbmode=both",):
            self.registry.define(text)
        self.file = Path(file)
        db_url = file if isinstance(file, str) else f"sqlite:///{file}"
        self.persistence = Persistence(self.registry, db_url, retry_for=retry_for, recovery_dir=recovery_dir)

    async def __aenter__(self) -> Life:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.persistence.close()

    async def load(self) -> list[Loaded]:
        return await self.persistence.load()

    async def save(self) -> list[Saved]:
        return await self.persistence.save()

    def add(self, *pairs: tuple[str, str], queue: str = "q") -> None:
        for key, value in pairs:
            self.registry.mq_add(queue, key, value)

    def queued(self, queue: str = "q") -> Pairs:
        return [(item.key, item.value) for item in self.registry[queue].items()]

    def in_table(self, queue: str = "q") -> list[tuple[object, object]]:
        return sqlite_file.rows(self.file, queue)


def loaded(file: Path | str, *definitions: str) -> Pairs:
    """What a program finds in its first queue after its start."""

    async def main() -> Pairs:
        async with Life(file, *definitions) as life:
            await life.load()
            return life.queued(next(iter(life.registry)).name)

    return asyncio.run(main())


def saved(file: Path | str, pairs: Pairs, *definitions: str) -> None:
    """A program that adds `pairs` to its first queue and ends."""

    async def main() -> None:
        async with Life(file, *definitions) as life:
            await life.load()
            life.add(*pairs, queue=next(iter(life.registry)).name)
            await life.save()

    asyncio.run(main())


def unsaved(file: Path, pairs: Pairs, *definitions: str, recovery_dir: Path | None = None) -> list[Saved]:
    """A program that loads, adds `pairs`, and finds the database locked at its end."""

    async def main() -> list[Saved]:
        async with Life(file, *definitions, retry_for=0.0, recovery_dir=recovery_dir) as life:
            await life.load()
            life.add(*pairs, queue=next(iter(life.registry)).name)
            with locked(file):
                return await life.save()

    return asyncio.run(main())


@contextmanager
def locked(file: Path) -> Iterator[sqlite3.Connection]:
    """A program that holds SQLite's exclusive lock, until the end of the block or `rollback`."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection
