"""Queues over restarts in PostgreSQL: a real server, started for these tests as a user of its own, on a Unix socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mqueue import PersistenceError
from mqueue.persistence import Saved
from tests.mqueue.life import Life, Pairs, loaded, saved
from tests.programs import need

asyncpg = pytest.importorskip("asyncpg")
UNPRIVILEGED: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
"""PostgreSQL refuses to run as root."""


class Server:
    """A PostgreSQL server with one database for each test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = "postgres"
        self._run("initdb", "-D", directory / "data", "-A", "trust", "-U", "mqproxy", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        options = f"-k {self.directory} -c listen_addresses= -c fsync=off"
        self._run("pg_ctl", "-D", self.directory / "data", "-o", options, "-l", self.directory / "log", "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.directory / "data", "-m", "immediate", "-w", "stop")

    @property
    def url(self) -> str:
        return f"postgres://mqproxy@/{self.database}?host={self.directory}"

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run `statements` as another program would; the rows of the last one."""

        async def main() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(host=str(self.directory), user="mqproxy", database=self.database)
            found = [await connection.fetch(statement) for statement in statements]
            await connection.close()
            return [tuple(row) for row in found[-1]]

        return asyncio.run(main())

    def rows(self, table: str = "q") -> list[tuple[Any, ...]]:
        return self.execute(f'SELECT "key", val FROM "{table}" ORDER BY id')

    def _run(self, program: str, *arguments: object) -> None:
        command = [need(program), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.directory, **UNPRIVILEGED)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    need("initdb")
    directory = Path(tempfile.mkdtemp(prefix="mqproxy-pg-"))  # not pytest's, which only its owner may enter
    if UNPRIVILEGED:
        shutil.chown(directory, "nobody", "nogroup")
    server = Server(directory)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture
def server(running: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.chdir(tmp_path)  # where recovery files go
    running.database = "postgres"
    name = f"db{abs(hash(tmp_path))}"
    running.execute(f"CREATE DATABASE {name}")
    running.database = name
    return running


def recovery_files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.glob("*.jsonl"))


def test_items_survive_a_restart_in_their_order(server: Server) -> None:
    pairs = [(f"größe {number % 7}", str(number)) for number in range(12_000)]
    saved(server.url, pairs)
    assert server.rows() == pairs
    assert loaded(server.url) == pairs


def test_the_table_has_kamailios_columns(server: Server) -> None:
    assert loaded(server.url) == []
    columns = server.execute(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns "
        "WHERE table_name = 'q' ORDER BY ordinal_position"
    )
    assert columns == [("id", "bigint", None, "NO"), ("key", "character varying", 64, "NO"), ("val", "character varying", 4096, "NO")]


@pytest.mark.parametrize("id_type", ["SERIAL", "BIGSERIAL"])
def test_a_table_that_is_there_is_used(server: Server, id_type: str) -> None:
    server.execute(
        f"CREATE TABLE q (id {id_type} PRIMARY KEY, key VARCHAR(64) DEFAULT '' NOT NULL, val VARCHAR(4096) DEFAULT '' NOT NULL)",
        "INSERT INTO q (key, val) VALUES ('a', '1')",
    )
    saved(server.url, [("b", "2")])
    assert server.rows() == [("a", "1"), ("b", "2")]


def test_saving_twice_and_rows_of_others(server: Server) -> None:
    async def main() -> None:
        async with Life(server.url) as life:
            await life.load()
            life.add(("a", "1"))
            await life.save()
            await asyncio.to_thread(server.execute, "INSERT INTO q (key, val) VALUES ('foreign', '2')")
            await life.save()
            await life.save()

    asyncio.run(main())
    assert sorted(server.rows()) == [("a", "1"), ("foreign", "2")]


@pytest.mark.parametrize("refused", [("k" * 65, "v"), ("k", "v" * 4097), ("a\0b", "v"), ("k", "\udcff"), ("\ud800", "v")], ids=ascii)
def test_what_postgresql_refuses_does_not_sink_the_rest(server: Server, tmp_path: Path, refused: tuple[str, str]) -> None:
    pairs: Pairs = [(str(number), "v") for number in range(100)]
    name = f"{server.database}.q.recovery.jsonl"

    async def main() -> None:
        async with Life(server.url) as life:
            life.add(*pairs[:50], refused, *pairs[50:])
            assert await life.save() == [Saved("q", 100, 1, tmp_path / name)]

    asyncio.run(main())
    assert server.rows() == pairs
    assert loaded(server.url) == [*pairs, refused]
    assert recovery_files(tmp_path) == [name]


def test_names_are_quoted_and_case_tells_tables_apart(server: Server) -> None:
    for name in ("q", "Q", "select", 'quo"te', "my:queue %s"):
        saved(server.url, [(name, "v")], f"name={name};dbmode=both")
        assert loaded(server.url, f"name={name};dbmode=both") == [(name, "v")]


def test_a_table_of_something_else_is_refused(server: Server) -> None:
    server.execute("CREATE TABLE q (id INTEGER, name TEXT)")
    with pytest.raises(PersistenceError, match=r"table 'q' of postgresql.* has the columns id, name and lacks key, val"):
        loaded(server.url)


@pytest.mark.parametrize(
    ("user", "database", "complaint"),
    [("stranger", None, 'role "stranger" does not exist'), ("mqproxy", "nowhere", 'database "nowhere" does not exist')],
)
def test_what_is_wrong_with_the_url_is_said(server: Server, user: str, database: str | None, complaint: str) -> None:
    with pytest.raises(PersistenceError) as caught:
        loaded(f"postgres://{user}:secret@/{database or server.database}?host={server.directory}")
    assert "queue 'q': cannot read postgresql+asyncpg://" in str(caught.value)
    assert complaint in str(caught.value)
    assert "see that the server runs, and that host, user, password and database of db_url are right" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_table_that_is_locked_at_shutdown(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Life(server.url) as life:
            await life.load()
            life.add(("a", "1"))
            lock = await asyncpg.connect(host=str(server.directory), user="mqproxy", database=server.database)
            await lock.execute("BEGIN; LOCK TABLE q")
            (row,) = await life.save()
            assert (row.items, row.in_recovery_file) == (0, 1)
            await lock.close()

    asyncio.run(main())
    assert "another program holds a lock on the table" in caplog.text
    assert loaded(server.url) == [("a", "1")]
    assert (server.rows(), recovery_files(tmp_path)) == ([("a", "1")], [])


def test_a_server_that_is_down(server: Server, tmp_path: Path) -> None:
    saved(server.url, [("a", "1")])

    async def main() -> None:
        async with Life(server.url) as life:
            await life.load()
            life.add(("b", "2"))
            await asyncio.to_thread(server.stop)
            (row,) = await life.save()
            assert (row.items, row.in_recovery_file) == (0, 2)

    try:
        asyncio.run(main())
        with pytest.raises(PersistenceError, match="see that the server runs"):
            loaded(server.url)
    finally:
        server.start()
    assert loaded(server.url) == [("a", "1"), ("b", "2")]
    assert (server.rows(), recovery_files(tmp_path)) == ([("a", "1"), ("b", "2")], [])


def test_a_row_that_is_being_inserted_at_start_up_is_waited_for(server: Server) -> None:
    saved(server.url, [("a", "1")])

    async def main() -> Pairs:
        other = await asyncpg.connect(host=str(server.directory), user="mqproxy", database=server.database)
        await other.execute("BEGIN; INSERT INTO q (key, val) VALUES ('being inserted', '2')")
        await asyncio.to_thread(server.execute, "INSERT INTO q (key, val) VALUES ('after it', '3')")
        async with Life(server.url, retry_for=30) as life:
            loading = asyncio.create_task(life.load())
            await asyncio.sleep(0.3)
            await other.execute("COMMIT")
            await loading
            await other.close()
            await life.save()
            return life.queued()

    pairs = [("a", "1"), ("being inserted", "2"), ("after it", "3")]
    assert asyncio.run(main()) == pairs
    assert server.rows() == pairs
