"""Recovery files: what a database would not take at shutdown, kept for the next start.

A file belongs to one queue of one database and is named ``<database>.<queue>.recovery.jsonl``, then ``.recovery.2.jsonl`` and so
on: none is ever overwritten. It is written under another name, flushed to the disk and renamed, so that it is there whole or not
at all. Each line is JSON in ASCII:

    {"mqproxy recovery": 1, "queue": "events", "database": "sqlite:////var/lib/queues.db", "replaces": [null, 17]}
    ["key", "value"]
    {"end": 1}

`replaces` says which rows of the table (after, up to) the items stand for; null: none, they come on top. A string with surrogates
in it, which JSON would not give back as it was, is written as ``{"hex": "..."}``, its UTF-8 with surrogatepass.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from mqueue.db_url import DbUrl
from mqueue.errors import PersistenceError
from mqueue.rows import Pair, Rows

log = logging.getLogger("mqueue")

VERSION = 1
_MAGIC = "mqproxy recovery"
_LONGEST_NAME = 80  # characters of a queue's or a database's name in a file's name, which ends at 255 bytes


@dataclass(frozen=True, slots=True)
class RecoveryFile:
    """A file that was found: the rows it replaces, how many items can be read, and whether it is as it was written."""

    path: Path
    replaces: Rows | None
    count: int
    whole: bool

    def pairs(self) -> Iterator[Pair]:
        """Every readable item, in the order of the queue."""
        with self.path.open("rb") as lines:
            yield from (record for record in map(_record, lines) if isinstance(record, tuple))

    def retire(self) -> None:
        """Remove the file, since its items are safe elsewhere. A damaged one is kept, as ``….damaged``."""
        if self.whole:
            self.path.unlink()
        else:
            kept = _free(self.path.with_name(f"{self.path.name}.damaged"))
            self.path.rename(kept)
            log.warning("recovery file %s is kept as %s: what can be read of it is loaded", self.path, kept)
        _sync_directory(self.path.parent)


class Recovery:
    """The recovery files of one database. They are looked for wherever they may have been written."""

    def __init__(self, url: DbUrl, directory: Path | None = None) -> None:
        self._url = url
        self._own = [path.absolute() for path in (directory, url.file and url.file.parent) if path]
        self._directories = list(dict.fromkeys(self._own + _other_directories()))

    def write(self, queue: str, pairs: Callable[[], Iterable[Pair]], replaces: Rows | None) -> tuple[Path, int]:
        """Write what `pairs` gives; returns the file and the number of items. PersistenceError when no directory takes it."""
        for directory in self._directories:
            try:
                path, count = self._write_into(directory, queue, pairs(), replaces)
            except OSError as error:
                log.error("queue %s: no recovery file in %s: %s", queue, directory, error.strerror or error)
                continue
            log.warning("queue %s: %d items are in the recovery file %s; the next start loads it", queue, count, path)
            return path, count
        tried = ", ".join(map(str, self._directories))
        raise PersistenceError(f"queue {queue!r}: no recovery file could be written in {tried}: the items are lost")

    def find(self, queue: str) -> list[RecoveryFile]:
        """The files of this queue, oldest first. PersistenceError for one that cannot be read."""
        return [file for directory in self._directories for path in self._numbered(directory, queue) if (file := self._read(path, queue))]

    def _write_into(self, directory: Path, queue: str, pairs: Iterable[Pair], replaces: Rows | None) -> tuple[Path, int]:
        directory.mkdir(parents=True, exist_ok=True)
        path, temporary, descriptor = _reserve(directory, self._base(queue))
        header = {_MAGIC: VERSION, "queue": queue, "database": str(self._url), "replaces": replaces and (replaces.after, replaces.upto)}
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                count = _write(out, header, pairs)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(directory)
        return path, count

    def _read(self, path: Path, queue: str) -> RecoveryFile | None:
        """The file at `path` when it is ours; None when it belongs to another queue or database, which is logged."""
        try:
            if not self._trusted(path):
                return None
            header, count, whole = _scan(path)
        except OSError as error:
            raise PersistenceError(f"queue {queue!r}: recovery file {path}: {error.strerror or error}; load or remove it") from error
        if header.get(_MAGIC, VERSION) != VERSION:
            raise PersistenceError(f"queue {queue!r}: recovery file {path} is of a newer version of mqproxy; start that one to load it")
        beside = self._url.file is not None and path.parent == self._url.file.parent  # a directory may be moved as a whole
        if header and (header.get("queue") != queue or not (beside or header.get("database") == str(self._url))):
            log.warning("recovery file %s is of %s, queue %s: left alone", path, header.get("database"), header.get("queue"))
            return None
        if not whole:
            log.error("queue %s: recovery file %s is damaged: %d items of it can be read", queue, path, count)
        return RecoveryFile(path, _rows(header.get("replaces")), count, whole)

    def _trusted(self, path: Path) -> bool:
        """False for what others may have put into a directory that everybody may write to."""
        found = path.lstat()
        return path.parent in self._own or (stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid())

    def _numbered(self, directory: Path, queue: str) -> list[Path]:
        pattern = re.compile(re.escape(self._base(queue)) + r"\.recovery(?:\.(\d+))?\.jsonl")
        try:
            names = os.listdir(directory)  # noqa: PTH208 - iterdir makes a Path of everything in /tmp
        except OSError:
            return []
        found = [(int(match[1] or 1), name) for name in names if (match := pattern.fullmatch(name))]
        return [directory / name for _, name in sorted(found)]

    def _base(self, queue: str) -> str:
        return f"{_file_safe(self._url.name)}.{_file_safe(queue)}"


def _other_directories() -> list[Path]:
    """The working directory and the one for temporary files, as far as they are there."""
    found = []
    for directory in (os.getcwd, tempfile.gettempdir):
        with suppress(FileNotFoundError):
            found.append(Path(directory()))
    return found


def _write(out: TextIO, header: dict[str, Any], pairs: Iterable[Pair]) -> int:
    count = 0
    encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
    out.write(encode(header) + "\n")
    for key, value in pairs:
        out.write(encode([_writable(key), _writable(value)]) + "\n")
        count += 1
    out.write(encode({"end": count}) + "\n")
    out.flush()
    os.fsync(out.fileno())
    return count


def _scan(path: Path) -> tuple[dict[str, Any], int, bool]:
    """The header ({} when it is unreadable), the number of readable items, and whether nothing is missing."""
    with path.open("rb") as lines:
        header = _record(next(lines, b""))
        count, strange, end = 0, 0, None
        for line in lines:
            record = _record(line)
            end = record
            if isinstance(record, tuple):
                count += 1
            elif not record:
                strange += 1
    readable = header if isinstance(header, dict) and _MAGIC in header else {}
    return readable, count, bool(readable) and not strange and end == {"end": count}


def _record(line: bytes) -> Pair | dict[str, Any]:
    """An item, or a header or end marker; {} for a line that is neither."""
    try:
        record = json.loads(line)
        if isinstance(record, list):
            key, value = map(_readable, record)
            return key, value
    except (ValueError, TypeError, KeyError):
        return {}
    return record if isinstance(record, dict) else {}


def _writable(value: str) -> str | dict[str, str]:
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"hex": value.encode("utf-8", "surrogatepass").hex()}
    return value


def _readable(value: str | dict[str, str]) -> str:
    return value if isinstance(value, str) else bytes.fromhex(value["hex"]).decode("utf-8", "surrogatepass")


def _rows(written: list[Any] | None) -> Rows | None:
    return Rows(written[1], written[0]) if written else None


def _file_safe(name: str) -> str:
    """`name` for a file's name; another for every name."""
    safe = quote(name, safe="", errors="surrogatepass")
    return safe if len(safe) <= _LONGEST_NAME else f"{safe[: _LONGEST_NAME - 17]}-{sha256(safe.encode()).hexdigest()[:16]}"


def _reserve(directory: Path, base: str) -> tuple[Path, Path, int]:
    """A name that is free, and its temporary file, open: whoever has that one has the name, also among several processes."""
    number = 1
    while True:
        path = directory / f"{base}.recovery{f'.{number}' if number > 1 else ''}.jsonl"
        temporary = directory / f".{path.name}.tmp"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        if not path.exists():
            return path, temporary, descriptor
        os.close(descriptor)
        temporary.unlink()
        number += 1


def _free(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free


def _sync_directory(directory: Path) -> None:
    """Make a rename or removal in `directory` survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
