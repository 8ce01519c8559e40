"""A database that does not take a queue, or some of its items: they go into a recovery file, and the next start has them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mqueue import PersistenceError
from mqueue.persistence import Loaded, Saved
from tests.mqueue import sqlite_file
from tests.mqueue.life import THREE, Life, loaded, locked, saved, unsaved

UNREPRESENTABLE = "\ud800"  # a surrogate that no byte of the wire gives: no database takes it


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """SQLite's own way to say that the disk is full: the file may not grow."""
    with closing(sqlite_file.connect(file)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]

    def limit(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        cursor.close()

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


class TestADatabaseThatTakesNothing:
    def test_leaves_a_file_that_the_next_start_loads(self, file: Path, recovery_file: Path) -> None:
        saved(file, [("a", "1"), ("b", "2")])
        assert unsaved(file, [("c", "3")]) == [Saved("q", 0, 3, recovery_file)]
        assert read(recovery_file) == [
            {"mqproxy recovery": 1, "queue": "q", "database": f"sqlite:///{file}", "replaces": [None, 2]},
            ["a", "1"],
            ["b", "2"],
            ["c", "3"],
            {"end": 3},
        ]
        assert sqlite_file.rows(file, "q") == THREE[:2]
        assert loaded(file) == THREE
        assert sqlite_file.rows(file, "q") == THREE
        assert not recovery_file.exists()

    def test_by_a_full_disk(self, file: Path, recovery_file: Path, caplog: pytest.LogCaptureFixture) -> None:
        saved(file, [("a", "1")])
        many = [(str(number), "v" * 100) for number in range(20_000)]

        async def main() -> None:
            async with Life(file) as life:
                await life.load()
                life.add(*many)
                with full_disk(file):
                    assert await life.save() == [Saved("q", 0, 20_001, recovery_file)]
                assert life.in_table() == [("a", "1")]

        with caplog.at_level(logging.WARNING, "mqueue"):
            asyncio.run(main())
        assert "database or disk is full; make room on the disk; tried again" in caplog.text
        assert f"20001 items are in the recovery file {recovery_file}; the next start loads it" in caplog.text
        assert loaded(file) == [("a", "1"), *many]

    def test_does_not_bring_back_what_was_fetched(self, file: Path) -> None:
        saved(file, [("fetched", "1"), ("left", "2")])

        async def main() -> None:
            async with Life(file, retry_for=0.0) as life:
                await life.load()
                life.registry.mq_fetch("q")
                with locked(file):
                    await life.save()

        asyncio.run(main())
        assert loaded(file) == [("left", "2")]

    def test_does_not_take_rows_of_others_along(self, file: Path) -> None:
        saved(file, [("a", "1")])
        unsaved(file, [("b", "2")])
        sqlite_file.insert(file, "q", [("foreign", "3")])
        assert sorted(loaded(file)) == [("a", "1"), ("b", "2"), ("foreign", "3")]

    @pytest.mark.parametrize("dbmode", ["load", "both"])
    def test_is_told_at_the_next_start_that_all_was_fetched(self, file: Path, dbmode: str) -> None:
        definition = f"name=q;dbmode={dbmode}"
        saved(file, [("a", "1")])

        async def main() -> None:
            async with Life(file, definition, retry_for=0.0) as life:
                await life.load()
                life.registry.mq_fetch("q")
                with locked(file):
                    await life.save()

        asyncio.run(main())
        assert loaded(file, definition) == []

    def test_has_the_items_of_a_save_only_queue_in_its_table_after_the_next_start(self, file: Path) -> None:
        definition = "name=q;dbmode=save"
        saved(file, [("earlier run", "1")], definition)
        unsaved(file, [("a", "1")], definition)
        assert loaded(file, definition) == []
        assert sqlite_file.rows(file, "q") == [("a", "1")]

    def test_leaves_nothing_where_there_is_nothing_to_save(self, file: Path, recovery_file: Path) -> None:
        assert unsaved(file, []) == [Saved("q", 0, 0, None)]
        assert not recovery_file.exists()

    def test_but_takes_the_queue_later_after_all(self, file: Path, recovery_file: Path) -> None:
        async def main() -> None:
            async with Life(file, retry_for=0.0) as life:
                await life.load()
                life.add(*THREE)
                with locked(file):
                    await life.save()
                    await life.save()
                assert [path for path in file.parent.glob("*.jsonl") if path.exists()] == [
                    recovery_file.with_name("queues.db.q.recovery.2.jsonl")
                ]
                assert await life.save() == [Saved("q", 3, 0, None)]
                assert not list(file.parent.glob("*.jsonl"))

        asyncio.run(main())
        assert loaded(file) == THREE

    def test_does_not_keep_the_other_queues_from_being_saved(self, file: Path) -> None:
        async def main() -> list[Saved]:
            async with Life(file, "name=q;dbmode=1", "name=p;dbmode=1") as life:
                await life.load()
                with closing(sqlite_file.connect(file)) as connection:
                    connection.execute("DROP TABLE q")
                    connection.execute("CREATE TABLE q (something TEXT)")
                for name in "qp":
                    life.add(("a", "1"), queue=name)
                return await life.save()

        first, second = asyncio.run(main())
        assert (first.items, first.in_recovery_file) == (0, 1)
        assert (second.items, second.in_recovery_file) == (1, 0)


class TestItemsThatTheTableRefuses:
    def test_do_not_sink_the_rest(self, file: Path, recovery_file: Path) -> None:
        pairs = [("a", "1"), ("b", UNREPRESENTABLE), ("c", "3")]

        async def main() -> None:
            async with Life(file) as life:
                life.add(*pairs)
                assert await life.save() == [Saved("q", 2, 1, recovery_file)]
                assert await life.save() == [Saved("q", 2, 1, recovery_file.with_name("queues.db.q.recovery.2.jsonl"))]

        asyncio.run(main())
        assert sorted(loaded(file)) == sorted(pairs)

    def test_are_found_among_many(self, file: Path) -> None:
        saved(file, [])
        with closing(sqlite_file.connect(file)) as connection, connection:
            connection.execute("CREATE TRIGGER no_seven BEFORE INSERT ON q WHEN NEW.key LIKE '%7%' BEGIN SELECT RAISE(ABORT, 'no 7'); END")

        async def main() -> None:
            async with Life(file) as life:
                life.add(*((str(number), "v") for number in range(1_000)))
                (row,) = await life.save()
                assert (row.items, row.in_recovery_file) == (729, 271)
                assert not [key for key, _ in life.in_table() if "7" in str(key)]

        asyncio.run(main())
        assert len(loaded(file)) == 1_000

    def test_stay_in_a_file_until_a_save(self, file: Path, recovery_file: Path) -> None:
        pair = ("a", UNREPRESENTABLE)
        saved(file, [pair])
        for _ in range(3):  # three kills
            assert loaded(file) == [pair]
            assert recovery_file.exists()

        async def main() -> None:
            async with Life(file) as life:
                assert await life.load() == [Loaded("q", 1, 0, 1)]
                life.registry.mq_fetch("q")
                await life.save()

        asyncio.run(main())
        assert not recovery_file.exists()

    def test_are_alone_in_their_file_when_the_rest_is_in_the_table(self, file: Path) -> None:
        pairs = [("a", "1"), ("b", UNREPRESENTABLE)]
        saved(file, [])
        unsaved(file, pairs)
        assert loaded(file) == pairs
        assert sqlite_file.rows(file, "q") == [("a", "1")]
        (left,) = file.parent.glob("*.jsonl")
        assert len(read(left)) == 3


def test_a_failed_load_makes_no_file_needless(file: Path, recovery_file: Path) -> None:
    saved(file, [("a", UNREPRESENTABLE)])

    async def main() -> None:
        async with Life(file, retry_for=0.0) as life:
            with locked(file), pytest.raises(PersistenceError):
                await life.load()
            await life.save()

    asyncio.run(main())
    assert loaded(file) == [("a", UNREPRESENTABLE)]
