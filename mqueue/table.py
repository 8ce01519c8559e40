"""The table of one queue, in Kamailio's schema, and what its columns make of a str.

    CREATE TABLE myq (id INTEGER PRIMARY KEY AUTOINCREMENT, key VARCHAR(64) DEFAULT '' NOT NULL, val VARCHAR(4096) DEFAULT '' NOT NULL)

SQLite takes any bytes: a str with undecodable bytes of the wire in it (surrogateescape) is stored as those bytes and comes back
the same, and what Kamailio wrote is read likewise. What a column cannot give back unchanged is refused, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, func, inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.elements import quoted_name

from mqueue.database import Database, is_refused
from mqueue.errors import PersistenceError
from mqueue.rows import Pair, Rows

_Stored = tuple[str | bytes, str | bytes]

COLUMNS = ("id", "key", "val")


class Row(NamedTuple):
    """One row as it is read."""

    id: int
    key: str
    value: str


class QueueTable:
    """The table named as the queue `name`. Calls that take a connection belong to the transaction open on it."""

    def __init__(self, database: Database, name: str) -> None:
        self.name = name
        self._database = database
        self._table = _table(name)
        self._dialect = database.url.dialect

    async def prepare(self, connection: AsyncConnection) -> None:
        """Create the table when it is missing and keep others from writing to it. PersistenceError when it has other columns.

        Without the lock a row of another program could come to light later, with an id that is less than the largest one now.
        """
        found = await connection.run_sync(self._columns)
        if found is None:
            await connection.execute(CreateTable(self._table))
        elif missing := [column for column in COLUMNS if column not in self._as_compared(found)]:
            raise PersistenceError(
                f"queue {self.name!r}: table {self.name!r} of {self._database.url} has the columns {', '.join(found)} and lacks "
                f"{', '.join(missing)}; rename the table or the queue"
            )
        if self._dialect == "postgresql":
            quoted = connection.dialect.identifier_preparer.format_table(self._table)
            await connection.execute(text(f"LOCK TABLE {quoted} IN SHARE ROW EXCLUSIVE MODE"))

    async def newest(self, connection: AsyncConnection) -> int | None:
        """The largest id, None for an empty table. MySQL keeps others from adding rows until the transaction ends."""
        ids = self._table.c.id
        found = await connection.execute(self._table.select().with_only_columns(ids).order_by(ids.desc()).limit(1).with_for_update())
        return found.scalar()

    async def count(self, rows: Rows) -> int:
        """The number of rows among `rows`."""
        async with self._database.reading() as connection:
            found = await connection.execute(self._table.select().with_only_columns(func.count()).where(self._among(rows)))
            return found.scalar_one()

    async def read(self, rows: Rows, most: int) -> list[Row]:
        """At most `most` of `rows`, in the order of id; fewer when there are no more.

        The upper end is not for the database: PostgreSQL, before it knows a new table, takes a range for a few rows and sorts them all.
        """
        ids = self._table.c.id
        select = self._table.select().order_by(ids).limit(most)
        async with self._database.reading() as connection:
            found = await connection.execute(select if rows.after is None else select.where(ids > rows.after))
            return [Row(number, _read(key), _read(value)) for number, key, value in found if number <= rows.upto]

    async def delete(self, connection: AsyncConnection, rows: Rows) -> None:
        """Delete `rows`."""
        await connection.execute(self._table.delete().where(self._among(rows)))

    async def insert(self, connection: AsyncConnection, pairs: Sequence[Pair]) -> list[Pair]:
        """Append `pairs`; returns those that the database refused."""
        refused: list[Pair] = []
        accepted: list[Pair] = []
        values: list[_Stored] = []
        for pair in pairs:
            key, value = self._stored(pair[0]), self._stored(pair[1])
            if key is None or value is None:
                refused.append(pair)
            else:
                accepted.append(pair)
                values.append((key, value))
        return refused + [accepted[index] for index in await self._insert(connection, values, 0)]

    async def _insert(self, connection: AsyncConnection, values: list[_Stored], first: int) -> list[int]:
        """Insert `values`, numbered from `first`; the numbers of those refused, found by halving."""
        if not values:
            return []
        savepoint = await connection.begin_nested()
        try:
            await connection.exec_driver_sql(self._insertion(connection), values)
        except DBAPIError as error:
            if not is_refused(error):
                raise
            await savepoint.rollback()
        else:
            await savepoint.commit()
            return []
        if len(values) == 1:
            return [first]
        half = len(values) // 2
        return await self._insert(connection, values[:half], first) + await self._insert(connection, values[half:], first + half)

    def _insertion(self, connection: AsyncConnection) -> str:
        """The INSERT in the driver's own SQL: SQLAlchemy's parameters would take a third of the time of a save."""
        return str(self._table.insert().compile(dialect=connection.dialect, column_keys=COLUMNS[1:]))

    def _columns(self, connection: Connection) -> list[str] | None:
        try:
            return [column["name"] for column in inspect(connection).get_columns(self.name)]
        except NoSuchTableError:
            return None

    def _as_compared(self, columns: list[str]) -> list[str]:
        return columns if self._dialect == "postgresql" else [column.lower() for column in columns]

    def _among(self, rows: Rows) -> ColumnElement[bool]:
        upto = self._table.c.id <= rows.upto
        return upto if rows.after is None else (self._table.c.id > rows.after) & upto

    def _stored(self, value: str) -> str | bytes | None:
        """What is bound for `value`; None when it would not come back as it is."""
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return _as_bytes(value) if self._dialect == "sqlite" else None
        return value


def _as_bytes(value: str) -> bytes | None:
    try:
        encoded = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that no byte gave
        return None
    return encoded if encoded.decode("utf-8", "surrogateescape") == value else None


def _read(value: object) -> str:
    """A column's value as a str, whatever type another program gave it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def _table(name: str) -> Table:
    return Table(
        quoted_name(name, quote=True),
        MetaData(),
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column(quoted_name("key", quote=True), String(64), server_default="", nullable=False),
        Column(quoted_name("val", quote=True), String(4096), server_default="", nullable=False),
        sqlite_autoincrement=True,
    )
