"""A database with Kamailio's tables: connections, transactions, and what its errors mean. SQLAlchemy is imported here and in `table`.

Every call opens a connection of its own and closes it, since a load and a save are minutes or months apart. A transaction that
writes takes the lock of the database (SQLite) at its start, so that it waits at that one place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from mqueue.db_url import DbUrl
from mqueue.errors import PersistenceError

FAILURES: Final = (SQLAlchemyError, OSError)
"""What a database raises when it cannot do what it was asked. Refused and cancelled connections are OSError, timeouts too."""

_SQLITE_LOCK_WAIT: Final = 0.25
"""Seconds that one attempt waits for SQLite's lock; whoever calls tries again as long as it has patience."""

_POSTGRESQL_LOCK_WAIT: Final = 2.0
"""Seconds, the same for PostgreSQL: an autovacuum that is in the way is ended after deadlock_timeout, 1 s, and not before."""

_CONNECT_WAIT: Final = 5.0
"""Seconds that a server has to answer a connection attempt."""

_STATEMENT_WAIT: Final = 60.0
"""Seconds that a PostgreSQL server has for one statement: a chunk takes milliseconds, a dead peer never answers."""

# The first byte of SQLite's result code (sqlite.org/rescode.html), or the class of an SQLSTATE (SQL:2023 part 2, table 39, and
# PostgreSQL's appendix A): these pass by themselves, or when a person makes room.
_PASSING_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_PASSING_SQLSTATES = {"08", "40", "53", "55", "57", "58"}
_REFUSED_SQLSTATES = {"22", "23"}

_SQLITE_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another program holds its lock: stop that one, or wait for it",
    sqlite3.SQLITE_LOCKED: "another program holds its lock: stop that one, or wait for it",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_IOERR: "look after the disk",
    sqlite3.SQLITE_CANTOPEN: "name a file, in a directory that exists and may be written",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable for this user",
    sqlite3.SQLITE_PERM: "make the file and its directory writable for this user",
    sqlite3.SQLITE_NOTADB: "put the right file there, or move this one away to start with empty queues",
    sqlite3.SQLITE_CORRUPT: "restore it (sqlite3 FILE .recover), or move it away to start with empty queues",
}
_SQLSTATE_REMEDIES = {
    "53": "make room on the server: disk, memory or connections",
    "55": "another program holds a lock on the table: stop that one, or wait for it",
}
_SERVER_REMEDY = "see that the server runs, and that host, user, password and database of db_url are right"
_TABLE_REMEDY = "see that the table is as Kamailio has it (id, key, val), or give the queue another name"


class Database:
    """The database that a db_url names. PersistenceError when SQLAlchemy has no asyncio driver for it."""

    def __init__(self, url: DbUrl) -> None:
        self.url = url
        try:
            self._engine = _engine(url)
        except (SQLAlchemyError, ImportError, TypeError, ValueError) as error:
            raise PersistenceError(f"db_url {url}: {first_line(error)}; name an asyncio driver that is installed") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads."""
        async with self._engine.connect() as connection:
            await connection.execution_options(mqueue_reads=True)
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: committed at the end, taken back whole when an error leaves the block."""
        async with self._engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        """Let go of the database."""
        await self._engine.dispose()


def _engine(url: DbUrl) -> AsyncEngine:
    arguments = _CONNECT_ARGUMENTS.get(make_url(url.url).drivername, {})
    engine = create_async_engine(url.url, poolclass=NullPool, connect_args=arguments)
    if url.dialect == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


_CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "sqlite+aiosqlite": {"timeout": _SQLITE_LOCK_WAIT},
    "postgresql+asyncpg": {
        "timeout": _CONNECT_WAIT,
        "command_timeout": _STATEMENT_WAIT,
        "server_settings": {"lock_timeout": str(int(_POSTGRESQL_LOCK_WAIT * 1000))},
    },
    # Without the strict mode MySQL shortens what is too long, in silence.
    "mysql+aiomysql": {"connect_timeout": _CONNECT_WAIT, "init_command": "SET sql_mode='STRICT_ALL_TABLES', innodb_lock_wait_timeout=1"},
}


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # sqlite3 begins no transaction of its own: _begin_sqlite does
    connection.driver_connection.text_factory = _decode


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("mqueue_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def is_passing(error: BaseException) -> bool:
    """True for a failure that may be gone at the next attempt: a lock, a full disk, a server that is starting."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OSError)
    code = _sqlite_code(error)
    if code is not None:
        return code in _PASSING_SQLITE
    state = _sqlstate(error)
    return state[:2] in _PASSING_SQLSTATES if state else isinstance(error, OperationalError | InterfaceError)


def is_refused(error: DBAPIError) -> bool:
    """True when the database will not have the values of a row: too long, or characters that it does not know."""
    return isinstance(error, DataError | IntegrityError) or _sqlstate(error)[:2] in _REFUSED_SQLSTATES


def explain(error: BaseException) -> str:
    """What went wrong, in the database's words, and what to do about it."""
    if isinstance(error, DBAPIError):
        return f"{first_line(error.orig or error)}; {_remedy(error)}"
    if isinstance(error, OSError):
        return f"{error}; see that it may be written" if error.filename else f"{first_line(error)}; {_SERVER_REMEDY}"
    return f"{first_line(error)}; {_TABLE_REMEDY}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text without SQLAlchemy's class names, or its type where it has none."""
    return str(error).partition("\n")[0].rpartition("'>: ")[2] or type(error).__name__


def _remedy(error: DBAPIError) -> str:
    code = _sqlite_code(error)
    if code is None:
        return _SQLSTATE_REMEDIES.get(_sqlstate(error)[:2], _SERVER_REMEDY)
    return _SQLITE_REMEDIES.get(code, _TABLE_REMEDY)


def _sqlite_code(error: DBAPIError) -> int | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
