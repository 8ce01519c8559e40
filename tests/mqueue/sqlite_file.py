"""SQLite files as tests see them: with the standard library, so that nothing of the code under test is in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

SCHEMA = (
    'CREATE TABLE "{}" (id INTEGER PRIMARY KEY AUTOINCREMENT, key VARCHAR(64) DEFAULT "" NOT NULL, val VARCHAR(4096) DEFAULT "" NOT NULL)'
)
"""Kamailio's table, in the words of its documentation."""


def connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file)
    connection.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
    return connection


def create(file: Path, table: str, pairs: Iterable[tuple[object, object]] = ()) -> None:
    """A table as Kamailio's users make it, with some rows."""
    with closing(connect(file)) as connection, connection:
        connection.execute(SCHEMA.format(table))
    insert(file, table, pairs)


def insert(file: Path, table: str, pairs: Iterable[tuple[object, object]]) -> None:
    """More rows, as another program adds them."""
    with closing(connect(file)) as connection, connection:
        connection.executemany(f'INSERT INTO "{table}" (key, val) VALUES (?, ?)', pairs)


def rows(file: Path, table: str) -> list[tuple[object, object]]:
    """Keys and values in the order of id."""
    with closing(connect(file)) as connection:
        return connection.execute(f'SELECT key, val FROM "{table}" ORDER BY id').fetchall()
