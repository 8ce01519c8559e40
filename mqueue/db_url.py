"""A db_url: which database it names, checked without importing a driver or connecting.

| db_url | is read as |
|---|---|
| ``sqlite:///queues.db`` | the file queues.db in the directory that the program was started in |
| ``sqlite:////var/lib/queues.db`` | the file /var/lib/queues.db |
| ``mysql://user:password@host/name`` | a MySQL or MariaDB server, driver aiomysql |
| ``postgres://user:password@host/name``, ``postgresql://…`` | a PostgreSQL server, driver asyncpg |
| ``dialect+driver://…`` | what SQLAlchemy makes of it |

Kamailio's db_sqlite reads the first two alike, with a trap in the first: it changes its directory to / in between, so that it
loads from queues.db where it was started and saves to /queues.db. A table that is shared with it needs the absolute form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from mqueue.errors import PersistenceError


class _Scheme(NamedTuple):
    dialect: str
    driver: str
    extra: str
    """What pip is told to install when the driver is missing."""


_SCHEMES = {
    "sqlite": _Scheme("sqlite", "aiosqlite", "mqproxy"),
    "mysql": _Scheme("mysql", "aiomysql", "mqproxy[mysql]"),
    "mariadb": _Scheme("mysql", "aiomysql", "mqproxy[mysql]"),
    "postgres": _Scheme("postgresql", "asyncpg", "mqproxy[postgresql]"),
    "postgresql": _Scheme("postgresql", "asyncpg", "mqproxy[postgresql]"),
}
_EXTRAS = {scheme.driver: scheme.extra for scheme in _SCHEMES.values()}
_FORMS = (
    "sqlite:///FILE (a relative path), sqlite:////FILE (an absolute one), "
    "postgresql://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME"
)


@dataclass(frozen=True, slots=True)
class DbUrl:
    """A db_url taken apart. ``str()`` of it shows no password."""

    url: str = field(repr=False)
    """For SQLAlchemy: with the driver, and a file's path made absolute. It has the password."""
    dialect: str
    """sqlite, mysql, postgresql or another of SQLAlchemy's."""
    file: Path | None
    """The file of an SQLite database, absolute; None for a server."""
    name: str
    """What the database is called in the name of a recovery file: that of the file, or of the server's database."""

    def __str__(self) -> str:
        return f"sqlite:///{self.file}" if self.file else without_password(self.url)

    @classmethod
    def parse(cls, text: str) -> DbUrl:
        """The database that `text` names. PersistenceError for a malformed one, an unknown scheme, memory, a missing driver."""
        scheme, separator, rest = text.strip().partition("://")
        dialect, plus, driver = scheme.lower().partition("+")
        if not (separator and re.fullmatch(r"\w+", dialect) and (driver or not plus)):
            raise _refused(text, f"it is no URL; allowed are {_FORMS}")
        if not plus:
            if dialect not in _SCHEMES:
                raise _refused(text, f"{dialect!r} is no known scheme; allowed are {_FORMS}")
            dialect, driver, _ = _SCHEMES[dialect]
        if driver in _EXTRAS and find_spec(driver) is None:
            raise _refused(text, f"the driver {driver} is not installed: pip install '{_EXTRAS[driver]}'")
        prefix = f"{dialect}+{driver}://"
        return cls._of_file(text, prefix, rest) if dialect == "sqlite" else cls._of_server(text, prefix, rest)

    @classmethod
    def _of_file(cls, text: str, prefix: str, rest: str) -> DbUrl:
        host, slash, path = rest.partition("/")
        path, query = (*path.split("?", 1), "")[:2]
        if host or (path and not slash):
            raise _refused(text, f"{host!r} stands where a server would; a file is sqlite:///{host}{slash}{path}")
        if not path or ":memory:" in path or "mode=memory" in query:
            raise _refused(text, "memory keeps nothing over a restart; name a file: sqlite:////var/lib/mqproxy/queues.db")
        if path.endswith("/") or "\0" in path:
            raise _refused(text, "that is no name of a file")
        file = Path(path).absolute()
        return cls(f"{prefix}/{file}{'?' if query else ''}{query}", "sqlite", file, file.name)

    @classmethod
    def _of_server(cls, text: str, prefix: str, rest: str) -> DbUrl:
        _, slash, name = rest.rpartition("@")[2].partition("/")
        name = name.partition("?")[0]
        if not (slash and name) or "/" in name:
            raise _refused(text, f"the name of the database is missing or has a '/'; a whole one is {prefix}USER:PASSWORD@HOST/NAME")
        return cls(prefix + rest, prefix.partition("+")[0], None, name)


def check_db_url(text: str) -> None:
    """Return when `text` is a db_url that can be used, its driver included; PersistenceError says what is wrong and what is allowed."""
    DbUrl.parse(text)


def without_password(url: str) -> str:
    """`url` with *** for its password, also where it is malformed."""
    url = re.sub(r"(?i)(passw(?:or)?d=)[^&]*", r"\1***", url)
    if "@" not in url or url.startswith("sqlite"):
        return url
    shown, hidden = re.subn(r"^([\w+]+:(?://)?[^:@/]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    if hidden or re.match(r"^[\w+]+://[^:@/]*@", url):
        return shown
    return "***@" + url.rpartition("@")[2]


def _refused(text: str, why: str) -> PersistenceError:
    return PersistenceError(f"db_url {without_password(text)}: {why}")
