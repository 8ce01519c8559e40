"""Queues over restarts, on real SQLite files: what each dbmode loads and saves, what survives, and what start-up refuses."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mqueue import PersistenceError, Registry
from mqueue.persistence import Loaded, Persistence, Saved
from tests.mqueue import sqlite_file
from tests.mqueue.life import Life, Pairs, loaded, locked, saved
from tests.mqueue.saver import GENERATIONS, SAVED, killed_while_saving

WIRE = ["größe", "\U0001f600", "", "a\0b", 'it\'s "quoted"; --', "\udcff\udcfe\udc80", "tab\tline\r\n", "x" * 5_000]


class TestEachDbmode:
    """A table with an old row; a program that loads, adds a new item, saves."""

    @pytest.mark.parametrize(
        ("dbmode", "in_queue", "in_table"),
        [
            ("none", ["new"], ["old"]),
            ("both", ["old", "new"], ["old", "new"]),
            ("save", ["new"], ["new"]),
            ("load", ["old", "new"], []),
        ],
    )
    def test_reads_and_writes_what_it_says(self, file: Path, dbmode: str, in_queue: list[str], in_table: list[str]) -> None:
        sqlite_file.create(file, "q", [("old", "1")])

        async def main() -> None:
            async with Life(file, f"name=q;dbmode={dbmode}") as life:
                counted = dbmode != "none"
                assert [row.items for row in await life.load()] == [int(dbmode in ("both", "load"))] * counted
                assert life.in_table() == [("old", "1")]  # as long as the program runs: a kill loses nothing
                life.add(("new", "2"))
                assert [key for key, _ in life.queued()] == in_queue
                written = 0 if dbmode == "load" else len(in_table)
                assert await life.save() == [Saved("q", written, 0, None)] * counted
                assert [key for key, _ in life.in_table()] == in_table

        asyncio.run(main())

    @pytest.mark.parametrize("dbmode", ["both", "save", "load"])
    def test_creates_the_table_that_is_missing_as_kamailio_has_it(self, file: Path, dbmode: str) -> None:
        assert loaded(file, f"name=my queue;dbmode={dbmode}") == []
        sqlite_file.create(file, "reference")
        with closing(sqlite3.connect(file)) as connection:
            columns = [connection.execute(f'PRAGMA table_info("{table}")').fetchall() for table in ("my queue", "reference")]
            created = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'my queue'").fetchone()[0]
        assert [column[1:3] for column in columns[0]] == [column[1:3] for column in columns[1]]
        assert [column[1:3] for column in columns[0]] == [("id", "INTEGER"), ("key", "VARCHAR(64)"), ("val", "VARCHAR(4096)")]
        assert "AUTOINCREMENT" in created

    @pytest.mark.parametrize("dbmode", ["both", "save", "load"])
    def test_rows_that_another_program_adds_meanwhile_stay(self, file: Path, dbmode: str) -> None:
        sqlite_file.create(file, "q", [("old", "1")])

        async def main() -> None:
            async with Life(file, f"name=q;dbmode={dbmode}") as life:
                await life.load()
                sqlite_file.insert(file, "q", [("foreign", "2")])
                await life.save()
                await life.save()
                assert ("foreign", "2") in life.in_table()
                sqlite_file.insert(file, "q", [("foreign", "3")])
                life.add(("new", "4"))
                await life.save()
                assert [key for key, _ in life.in_table()].count("foreign") == 2

        asyncio.run(main())

    def test_a_save_only_queue_does_not_pile_up(self, file: Path) -> None:
        for number in range(3):
            saved(file, [(str(number), "v")], "name=q;dbmode=save")
        assert sqlite_file.rows(file, "q") == [("2", "v")]


class TestOverARestart:
    def test_items_keep_their_order(self, file: Path) -> None:
        pairs = [(f"key{number % 7}", str(number)) for number in range(100)]
        saved(file, pairs)
        assert loaded(file) == pairs

    def test_more_items_than_one_chunk(self, file: Path) -> None:
        pairs = [(str(number), f"value {number}") for number in range(12_345)]
        saved(file, pairs)
        assert loaded(file) == pairs

    @pytest.mark.parametrize(
        ("definition", "expected", "dropped"),
        [
            ("name=q;dbmode=both;size=2", [("b", "2"), ("a", "3")], 1),
            ("name=q;dbmode=both;addmode=1", [("a", "1"), ("b", "2")], 0),
            ("name=q;dbmode=both;addmode=2", [("b", "2"), ("a", "3")], 0),
        ],
    )
    def test_size_and_addmode_apply(self, file: Path, definition: str, expected: Pairs, dropped: int) -> None:
        sqlite_file.create(file, "q", [("a", "1"), ("b", "2"), ("a", "3")])

        async def main() -> None:
            async with Life(file, definition) as life:
                assert await life.load() == [Loaded("q", 3, dropped, 0)]
                assert life.queued() == expected

        asyncio.run(main())

    @pytest.mark.parametrize("text", WIRE, ids=ascii)
    def test_strings_survive(self, file: Path, text: str) -> None:
        saved(file, [(text, text)])
        assert loaded(file) == [(text, text)]
        assert not list(file.parent.glob("*.jsonl"))

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.text(st.characters()), st.text(st.characters())), max_size=5))
    def test_any_string_survives(self, tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> None:
        file = tmp_path_factory.mktemp("any") / "queues.db"
        saved(file, pairs)
        assert sorted(loaded(file)) == sorted(pairs)  # what only a recovery file can hold comes after the rest
        saved(file, [])
        assert sorted(loaded(file)) == sorted(pairs)

    @pytest.mark.parametrize(
        ("value", "expected"), [(b"\xff\xfe", "\udcff\udcfe"), (b"gr\xc3\xb6\xc3\x9fe", "größe"), (5, "5"), (1.5, "1.5")]
    )
    def test_whatever_type_another_program_wrote_is_a_string(self, file: Path, value: object, expected: str) -> None:
        sqlite_file.create(file, "q", [(value, value)])
        assert loaded(file) == [(expected, expected)]

    def test_invalid_utf_8_in_text_columns_is_read(self, file: Path) -> None:
        sqlite_file.create(file, "q")
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("INSERT INTO q (key, val) VALUES (CAST(x'ff61' AS TEXT), CAST(x'c3' AS TEXT))")
        assert loaded(file) == [("\udcffa", "\udcc3")]

    @pytest.mark.parametrize("name", ["select", 'quo"te', "space d", "größe", "a.b", "-- x", "%"])
    def test_any_name_is_a_table(self, file: Path, name: str) -> None:
        definition = f"name={name};dbmode=both"
        saved(file, [("k", "v")], definition)
        assert loaded(file, definition) == [("k", "v")]

    def test_a_table_without_autoincrement_will_do(self, file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE q (id INTEGER PRIMARY KEY, KEY TEXT, val TEXT, note TEXT)")
            connection.execute("INSERT INTO q (key, val) VALUES ('a', NULL)")
        saved(file, [("b", "2")])
        assert loaded(file) == [("a", ""), ("b", "2")]


class TestSave:
    def test_twice_is_as_once(self, file: Path) -> None:
        async def main() -> None:
            async with Life(file) as life:
                await life.load()
                life.add(("a", "1"), ("b", "2"))
                first = await life.save(), life.in_table()
                assert (await life.save(), life.in_table()) == first
                life.registry.mq_fetch("q")
                life.registry.mq_fetch("q")
                await life.save()
                assert life.in_table() == []

        asyncio.run(main())

    def test_takes_nothing_from_the_queue(self, file: Path) -> None:
        async def main() -> None:
            async with Life(file) as life:
                life.add(("a", "1"))
                await life.save()
                assert life.queued() == [("a", "1")]

        asyncio.run(main())

    def test_what_is_added_meanwhile_does_not_disturb_it(self, file: Path) -> None:
        async def main() -> None:
            async with Life(file) as life:
                await life.load()
                life.add(*((str(number), "v") for number in range(20_000)))
                saving = asyncio.create_task(life.save())
                while not saving.done():
                    life.add(("late", "v"))
                    life.registry.mq_fetch("q")
                    await asyncio.sleep(0)
                keys = [key for key, _ in life.in_table()]
                assert len(keys) == 20_000
                assert keys[-1] in ("19999", "late")

        asyncio.run(main())

    def test_cancelled_leaves_the_table_as_it_was(self, file: Path) -> None:
        sqlite_file.create(file, "q", [("old", "1")])

        async def main() -> None:
            async with Life(file) as life:
                await life.load()
                life.add(*((str(number), "v") for number in range(50_000)))
                saving = asyncio.create_task(life.save())
                await asyncio.sleep(0.05)
                saving.cancel()
                await asyncio.gather(saving, return_exceptions=True)
                assert saving.cancelled()
                assert life.in_table() == [("old", "1")]

        asyncio.run(main())

    def test_before_any_load_deletes_nothing(self, file: Path) -> None:
        sqlite_file.create(file, "q", [("old", "1")])

        async def main() -> None:
            async with Life(file) as life:
                life.add(("new", "2"))
                await life.save()
                assert life.in_table() == [("old", "1"), ("new", "2")]

        asyncio.run(main())

    def test_a_table_that_went_is_made_again(self, file: Path) -> None:
        async def main() -> None:
            async with Life(file) as life:
                await life.load()
                file.unlink()  # noqa: ASYNC240
                life.add(("a", "1"))
                await life.save()
                assert life.in_table() == [("a", "1")]

        asyncio.run(main())

    def test_waits_for_a_lock_that_is_let_go(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            async with Life(file, retry_for=30) as life:
                await life.load()
                life.add(("a", "1"))
                with locked(file) as lock:
                    asyncio.get_running_loop().call_later(0.4, lock.rollback)
                    assert await life.save() == [Saved("q", 1, 0, None)]

        with caplog.at_level(logging.WARNING, "mqueue"):
            asyncio.run(main())
        assert "database is locked" in caplog.text


class TestSeveralQueues:
    def test_each_has_its_table(self, file: Path) -> None:
        definitions = ("name=a;dbmode=both", "name=b;dbmode=save", "name=c")

        async def main() -> None:
            async with Life(file, *definitions) as life:
                for name in "abc":
                    life.add((name, "1"), queue=name)
                assert [row.queue for row in await life.save()] == ["a", "b"]

        asyncio.run(main())
        with closing(sqlite3.connect(file)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'sqlite_sequence'").fetchall()
        assert sorted(tables) == [("a",), ("b",)]

    def test_a_queue_defined_later_is_loaded_by_the_next_load_alone(self, file: Path) -> None:
        sqlite_file.create(file, "q", [("a", "1")])
        sqlite_file.create(file, "later", [("b", "2")])

        async def main() -> None:
            async with Life(file) as life:
                assert [row.queue for row in await life.load()] == ["q"]
                life.registry.define("name=later;dbmode=both")
                assert [row.queue for row in await life.load()] == ["later"]
                assert (life.queued("q"), life.queued("later")) == ([("a", "1")], [("b", "2")])

        asyncio.run(main())

    def test_two_that_sqlite_would_not_tell_apart_are_refused(self, file: Path) -> None:
        with pytest.raises(PersistenceError, match=r"'q' and 'Q' would share a table"):
            loaded(file, "name=q;dbmode=1", "name=Q;dbmode=1")

    def test_progress_is_told_per_queue_up_to_all_of_it(self, file: Path) -> None:
        told: list[tuple[str, int, int]] = []

        async def main() -> None:
            registry = Registry()
            queue = registry.define("name=q;dbmode=1")
            for number in range(12_000):
                queue.add(str(number), "v")
            persistence = Persistence(registry, f"sqlite:///{file}", progress=lambda *call: told.append(call))
            await persistence.save()
            registry.clear()
            registry.define("name=q;dbmode=1")
            await persistence.load()
            await persistence.close()

        asyncio.run(main())
        assert told == [("q", 5_000, 12_000), ("q", 10_000, 12_000), ("q", 12_000, 12_000)] * 2


class TestAnUnreadableDatabaseAtStartUp:
    """It is an error that names the queue, the database and a remedy; no queue starts empty."""

    def refused(self, file: Path, remedy: str) -> str:
        with pytest.raises(PersistenceError) as caught:
            loaded(file)
        message = str(caught.value)
        assert "queue 'q'" in message
        assert f"sqlite:///{file}" in message
        assert remedy in message
        return message

    def test_a_directory(self, tmp_path: Path) -> None:
        self.refused(tmp_path, "name a file")

    def test_a_missing_directory(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "nowhere" / "q.db", "name a file, in a directory that exists")

    def test_another_file(self, file: Path) -> None:
        file.write_text("this is no database, however long it is\n" * 100)
        assert "not a database" in self.refused(file, "put the right file there")

    def test_a_damaged_one(self, file: Path) -> None:
        saved(file, [(str(number), "v" * 100) for number in range(10_000)])
        whole = file.read_bytes()
        file.write_bytes(whole[:8192] + b"\xaa" * (len(whole) - 8192))
        assert "malformed" in self.refused(file, "restore it")

    def test_a_lock_that_is_not_let_go(self, file: Path) -> None:
        saved(file, [("a", "1")])
        with locked(file):
            self.refused(file, "another program holds its lock")

    def test_a_table_of_something_else(self, file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE q (id INTEGER PRIMARY KEY, name TEXT, val TEXT)")
        assert "table 'q'" in (message := self.refused(file, "rename the table or the queue"))
        assert "has the columns id, name, val and lacks key" in message

    def test_a_lock_during_start_up_is_waited_for(self, file: Path) -> None:
        saved(file, [("a", "1")])

        async def main() -> Pairs:
            async with Life(file, retry_for=30) as life:
                with locked(file) as lock:
                    asyncio.get_running_loop().call_later(0.4, lock.rollback)
                    await life.load()
                return life.queued()

        assert asyncio.run(main()) == [("a", "1")]

    def test_a_driver_that_knows_no_asyncio(self) -> None:
        with pytest.raises(PersistenceError, match="asyncio driver"):
            Persistence([], "sqlite+pysqlite:////tmp/q.db")

    def test_a_dialect_that_nobody_knows(self) -> None:
        with pytest.raises(PersistenceError, match=r"no\+such"):
            Persistence([], "no+such://host/name")


class TestKilledWhileSaving:
    """A save that is interrupted by kill -9 leaves the table as it was, or as it should be."""

    @pytest.mark.parametrize("chunk", range(1, 11))
    def test_within_the_transaction(self, file: Path, chunk: int) -> None:
        self.table_is_whole(file, killed_while_saving(file, at_chunk=chunk), allowed={"old"})

    @pytest.mark.parametrize("seed", range(10))
    def test_at_any_moment(self, file: Path, seed: int) -> None:
        delay = random.Random(seed).uniform(0, 0.6)
        self.table_is_whole(file, killed_while_saving(file, after=delay), allowed={"old", "new"})

    def table_is_whole(self, file: Path, was_killed: bool, allowed: set[str]) -> None:
        pairs = loaded(file)
        generations = {value for _, value in pairs}
        assert len(generations) == 1
        assert generations <= (allowed if was_killed else {"new"})
        assert [key for key, _ in pairs] == [str(number) for number in range(SAVED)]
        assert GENERATIONS == ("old", "new")
