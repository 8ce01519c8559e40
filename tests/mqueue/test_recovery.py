"""Recovery files: written when a database will not take a queue, loaded by the next start, and never losing what they hold."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mqueue import PersistenceError
from mqueue.db_url import DbUrl
from mqueue.persistence import Loaded, Saved
from mqueue.recovery import Recovery, RecoveryFile
from mqueue.rows import Rows
from tests.mqueue import sqlite_file
from tests.mqueue.life import Life, Pairs, loaded, locked, saved

UNREPRESENTABLE = "\ud800"  # a surrogate that no byte of the wire gives: no database takes it
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"  # the port of tcpmux, which nothing listens to
THREE: Pairs = [("a", "1"), ("b", "2"), ("c", "3")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queues.db"


@pytest.fixture
def recovery_file(file: Path) -> Path:
    return file.with_name("queues.db.q.recovery.jsonl")


@pytest.fixture
def url(file: Path) -> DbUrl:
    return DbUrl.parse(f"sqlite:///{file}")


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


def unsaved(file: Path, pairs: Pairs, *definitions: str, recovery_dir: Path | None = None) -> list[Saved]:
    """A program that loads, adds `pairs`, and finds the database locked at its end."""

    async def main() -> list[Saved]:
        async with Life(file, *definitions, retry_for=0.0, recovery_dir=recovery_dir) as life:
            await life.load()
            life.add(*pairs, queue=next(iter(life.registry)).name)
            with locked(file):
                return await life.save()

    return asyncio.run(main())


def unreachable(*definitions: str) -> list[Saved]:
    """A program with one item in each queue whose server is down at its end."""

    async def main() -> list[Saved]:
        async with Life(UNREACHABLE, *definitions, retry_for=0.0) as life:
            for queue in life.registry:
                queue.add("a", "1")
            return await life.save()

    pytest.importorskip("asyncpg")
    return asyncio.run(main())


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


class TestWhereFilesAre:
    @pytest.fixture(autouse=True)
    def nowhere_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("cwd", "tmp"):
            (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / "cwd")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def directory(self, rows: list[Saved]) -> Path:
        assert rows[0].recovery_file is not None
        return rows[0].recovery_file.parent

    def test_in_recovery_dir_which_is_made(self, file: Path, tmp_path: Path) -> None:
        wanted = tmp_path / "spool" / "mqueue"
        assert self.directory(unsaved(file, THREE, recovery_dir=wanted)) == wanted

    def test_else_beside_the_database(self, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "file").touch()
        unusable = tmp_path / "file" / "spool"
        assert self.directory(unsaved(file, THREE, recovery_dir=unusable)) == tmp_path
        assert f"no recovery file in {unusable}: Not a directory" in caplog.text
        assert loaded(file) == THREE

    def test_of_a_server_in_the_working_directory_or_that_for_temporary_files(self, tmp_path: Path) -> None:
        assert self.directory(unreachable("name=q;dbmode=1")) == tmp_path / "cwd"
        shutil.rmtree(tmp_path / "cwd")
        assert self.directory(unreachable("name=q;dbmode=1")) == tmp_path / "tmp"
        assert [found.count for found in Recovery(DbUrl.parse(UNREACHABLE)).find("q")] == [1]

    def test_nowhere_is_an_error_after_all_queues_were_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/proc")
        monkeypatch.setattr(tempfile, "tempdir", "/proc")
        with pytest.raises(PersistenceError) as caught:
            unreachable("name=q;dbmode=1", "name=p;dbmode=1")
        lost = "queue '{}': no recovery file could be written in /proc: the items are lost"
        assert str(caught.value) == f"{lost.format('q')}; {lost.format('p')}"

    def test_no_file_that_others_could_have_planted_is_loaded(self, file: Path, tmp_path: Path, url: DbUrl) -> None:
        path, _ = Recovery(url, tmp_path / "tmp").write("q", lambda: THREE, None)
        (tmp_path / "cwd" / path.name).symlink_to(path)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
            assert Recovery(url).find("q") == []
        path.unlink()
        assert Recovery(url).find("q") == []

    def test_a_file_of_another_database_of_the_same_name_is_left_alone(
        self, file: Path, tmp_path: Path, url: DbUrl, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = DbUrl.parse("sqlite:////elsewhere/queues.db")
        path, _ = Recovery(other, tmp_path / "spool").write("q", lambda: THREE, None)
        assert Recovery(url, tmp_path / "spool").find("q") == []
        assert f"{path} is of sqlite:////elsewhere/queues.db, queue q: left alone" in caplog.text

    def test_a_directory_may_be_moved_with_all_that_is_in_it(self, file: Path, tmp_path: Path) -> None:
        unsaved(file, THREE)
        moved = tmp_path / "moved"
        moved.mkdir()
        for path in tmp_path.glob("queues.db*"):
            path.rename(moved / path.name)
        assert loaded(moved / "queues.db") == THREE


class TestNames:
    @pytest.mark.parametrize("queue", ["a/b", "..", "größe", "x" * 300, "a b;c", "\ud800", "%2F"], ids=ascii)
    def test_any_queue_has_a_file(self, url: DbUrl, queue: str) -> None:
        recovery = Recovery(url)
        path, _ = recovery.write(queue, lambda: THREE, None)
        assert path.parent == url.file.parent if url.file else False
        assert [list(found.pairs()) for found in recovery.find(queue)] == [THREE]

    def test_two_queues_never_share_one(self, url: DbUrl) -> None:
        names = ["a/b", "a%2Fb", "a.b", "x" * 300, "x" * 301, "q", "q.recovery.2"]
        recovery = Recovery(url)
        for name in names:
            recovery.write(name, lambda name=name: [(name, "")], None)  # type: ignore[misc]
        for name in names:
            assert [list(found.pairs()) for found in recovery.find(name)] == [[(name, "")]]

    def test_none_is_overwritten_and_they_load_in_their_order(self, file: Path, url: DbUrl) -> None:
        for number in range(1, 13):
            Recovery(url).write("q", lambda number=number: [(str(number), "v")], None)  # type: ignore[misc]
        assert [key for key, _ in loaded(file)] == [str(number) for number in range(1, 13)]

    def test_several_at_once_have_several_names(self, url: DbUrl) -> None:
        with ThreadPoolExecutor(8) as pool:
            written = [done.result()[0] for done in [pool.submit(Recovery(url).write, "q", lambda: THREE, None) for _ in range(16)]]
        assert len(set(written)) == 16
        assert all(found.whole for found in Recovery(url).find("q"))

    def test_only_the_owner_may_read_it(self, url: DbUrl) -> None:
        path, _ = Recovery(url).write("q", lambda: THREE, None)
        assert path.stat().st_mode & 0o777 == 0o600

    def test_what_could_not_be_finished_leaves_nothing(self, url: DbUrl, tmp_path: Path) -> None:
        def pairs() -> Iterator[tuple[str, str]]:
            yield THREE[0]
            raise OSError(28, "No space left on device")

        with pytest.raises(PersistenceError):
            Recovery(url, tmp_path).write("q", pairs, None)
        assert list(tmp_path.iterdir()) == []


class TestStrings:
    @settings(deadline=None)
    @given(pairs=st.lists(st.tuples(st.text(st.characters()), st.text(st.characters()))))
    def test_every_string_comes_back(self, tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> None:
        recovery = Recovery(DbUrl.parse("sqlite:////nowhere/q.db"), tmp_path_factory.mktemp("recovery"))
        recovery.write("q", lambda: pairs, Rows(7))
        (found,) = recovery.find("q")
        assert (list(found.pairs()), found.count, found.whole, found.replaces) == (pairs, len(pairs), True, Rows(7))

    @pytest.mark.parametrize("text", ["\\ud83d\\ude00", "\\udcc3\\udcb6", "\\ud800", "\\udcff", "\\0", "\\u2028"])
    def test_pairs_of_surrogates_are_not_joined(self, url: DbUrl, text: str) -> None:
        text = ast.literal_eval(f'"{text}"')  # pytest's linter takes all surrogates for one
        recovery = Recovery(url)
        recovery.write("q", lambda: [(text, text)], None)
        assert [list(found.pairs()) for found in recovery.find("q")] == [[(text, text)]]


class TestDamage:
    def found(self, url: DbUrl) -> RecoveryFile:
        (found,) = Recovery(url).find("q")
        return found

    def test_a_file_cut_anywhere_gives_what_is_whole(self, url: DbUrl) -> None:
        path, _ = Recovery(url).write("q", lambda: THREE, Rows(9, 2))
        whole = path.read_bytes()
        for length in range(len(whole) - 1):
            path.write_bytes(whole[:length])
            found = self.found(url)
            assert not found.whole
            assert list(found.pairs()) == THREE[: found.count]
            assert found.count == max(0, min(3, whole[: length + 1].count(b"\n") - 1))

    def test_a_file_that_is_no_such_file_gives_nothing_and_no_error(self, url: DbUrl, recovery_file: Path) -> None:
        noise = random.Random(1)
        for content in (b"", b"\n", b"[]\n{}\n1\nnull\n", b'["a"]\n["a",1]\n[["a"],{"hex":"zz"}]\n', noise.randbytes(5_000)):
            recovery_file.write_bytes(content)
            found = self.found(url)
            assert (found.count, found.whole, list(found.pairs())) == (0, False, [])

    def test_a_damaged_file_is_loaded_and_kept_and_replaces_nothing(
        self, file: Path, recovery_file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        saved(file, [("a", "1"), ("b", "2")])
        unsaved(file, [("c", "3")])
        recovery_file.write_bytes(recovery_file.read_bytes()[:-20])
        cut = recovery_file.read_bytes()
        assert [key for key, _ in loaded(file)] == ["a", "b", "a", "b"]  # rather twice than never
        assert "is damaged: 2 items of it can be read" in caplog.text
        assert not recovery_file.exists()
        assert recovery_file.with_name(f"{recovery_file.name}.damaged").read_bytes() == cut

    def test_a_file_of_a_newer_version_stops_the_start(self, file: Path, url: DbUrl) -> None:
        path, _ = Recovery(url).write("q", lambda: THREE, None)
        path.write_text(path.read_text().replace('"mqproxy recovery":1', '"mqproxy recovery":2'))
        with pytest.raises(PersistenceError, match="newer version"):
            loaded(file)

    def test_a_file_that_cannot_be_read_stops_the_start(self, file: Path, recovery_file: Path) -> None:
        recovery_file.mkdir()
        with pytest.raises(PersistenceError, match="Is a directory; load or remove it"):
            loaded(file)

    def test_what_a_kill_left_unfinished_is_not_a_recovery_file(self, url: DbUrl, recovery_file: Path) -> None:
        recovery_file.with_name(f".{recovery_file.name}.tmp").write_text("half")
        assert Recovery(url).find("q") == []
        path, _ = Recovery(url).write("q", lambda: THREE, None)
        assert path.name == "queues.db.q.recovery.2.jsonl"

    def test_a_kill_between_table_and_removal_loses_nothing(self, file: Path, recovery_file: Path) -> None:
        saved(file, [("a", "1")])
        unsaved(file, [("b", "2")])
        copy = recovery_file.read_bytes()
        loaded(file)
        recovery_file.write_bytes(copy)  # as if it had not come to the removal
        assert set(loaded(file)) == {("a", "1"), ("b", "2")}


def test_a_failed_load_makes_no_file_needless(file: Path, recovery_file: Path) -> None:
    saved(file, [("a", UNREPRESENTABLE)])

    async def main() -> None:
        async with Life(file, retry_for=0.0) as life:
            with locked(file), pytest.raises(PersistenceError):
                await life.load()
            await life.save()

    asyncio.run(main())
    assert loaded(file) == [("a", UNREPRESENTABLE)]
