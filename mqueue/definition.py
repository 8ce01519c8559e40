"""A queue's definition, in Kamailio's syntax (``name=q;size=20;dbmode=1;addmode=2``) and as typed Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from mqueue.errors import DefinitionError


class AddMode(IntEnum):
    """What `mq_add` does with a key that is queued already (mqueue addmode)."""

    APPEND = 0
    """Keys may repeat: every item is appended."""
    UNIQUE_OLDEST = 1
    """The queued item stays where it is, the new one is ignored."""
    UNIQUE_NEWEST = 2
    """The queued item goes, the new one is appended at the tail."""


class DbMode(IntEnum):
    """When a queue meets its database table (mqueue dbmode). The numbers are those of the module's documentation."""

    NONE = 0
    """Never: the queue lives and dies with the process."""
    BOTH = 1
    """Read at start-up and written at shutdown."""
    SAVE = 2
    """Written at shutdown, not read at start-up."""
    LOAD = 3
    """Read at start-up, not written at shutdown."""

    @property
    def loads(self) -> bool:
        """True when the table is read at start-up."""
        return self in (DbMode.BOTH, DbMode.LOAD)

    @property
    def saves(self) -> bool:
        """True when the queue is written at shutdown."""
        return self in (DbMode.BOTH, DbMode.SAVE)


class DbModeNumbers(Enum):
    """How the numbers 2 and 3 of ``dbmode=`` are read: documentation and code of Kamailio have them the other way round."""

    DOCUMENTED = "documented"
    """2 saves, 3 loads: the module's documentation until 2023, and the default here."""
    KAMAILIO = "kamailio"
    """2 loads, 3 saves: what Kamailio's code does. For whoever shares a table with it."""

    def read(self, number: int) -> DbMode:
        """The mode that `number` (0 to 3) stands for; ValueError when it stands for none."""
        if self is DbModeNumbers.KAMAILIO:
            number = {2: 3, 3: 2}.get(number, number)
        return DbMode(number)


@dataclass(frozen=True, slots=True)
class Definition:
    """A queue: its name, the most items it holds (0: no limit), its dbmode and addmode.

    Raises DefinitionError for an empty name, a negative size, a number that is no mode.
    """

    name: str
    size: int = 0
    dbmode: DbMode = DbMode.NONE
    addmode: AddMode = AddMode.APPEND

    def __post_init__(self) -> None:
        if not self.name:
            raise DefinitionError("mqueue name not defined: add name=NAME")
        if not isinstance(self.size, int) or self.size < 0:
            raise DefinitionError(f"queue {self.name!r}: size={self.size!r} is not a number of items >= 0")
        try:  # plain numbers are taken, and become members
            object.__setattr__(self, "dbmode", DbMode(self.dbmode))
            object.__setattr__(self, "addmode", AddMode(self.addmode))
        except ValueError as error:
            raise DefinitionError(f"queue {self.name!r}: {error}") from None

    def __str__(self) -> str:
        parts = [f"name={self.name}"]
        if self.size:
            parts.append(f"size={self.size}")
        if self.dbmode:
            parts.append(f"dbmode={self.dbmode.name.lower()}")
        if self.addmode:
            parts.append(f"addmode={self.addmode.value}")
        return ";".join(parts)

    @classmethod
    def parse(cls, text: str, numbers: DbModeNumbers = DbModeNumbers.DOCUMENTED) -> Definition:
        """The definition written in `text`; DefinitionError names what is wrong and quotes `text`."""
        values: dict[str, Any] = {}
        for part in filter(None, (piece.strip() for piece in text.split(";"))):
            attribute, _, raw = (piece.strip() for piece in part.partition("="))
            attribute = attribute.lower()
            if attribute not in _READERS:
                raise DefinitionError(f"unknown param: {attribute} in {text!r}; known are {', '.join(_READERS)}")
            if attribute in values:
                raise DefinitionError(f"{attribute} is given twice in {text!r}")
            values[attribute] = read_attribute(attribute, raw.strip("\"'"), text, numbers)
        if not values.get("name"):
            raise DefinitionError(f"mqueue name not defined in {text!r}: add name=NAME")
        return cls(**values)


def read_attribute(attribute: str, raw: str, text: str, numbers: DbModeNumbers = DbModeNumbers.DOCUMENTED) -> Any:
    """The value of one attribute; DefinitionError quotes `text`, where it was written."""
    reader, allowed = _READERS[attribute]
    try:
        return reader(raw, numbers)
    except (ValueError, KeyError):
        raise DefinitionError(f"{attribute}={raw} in {text!r}: allowed is {allowed}") from None


def _dbmode(raw: str, numbers: DbModeNumbers) -> DbMode:
    return numbers.read(_number(raw)) if raw.isdigit() else DbMode[raw.upper()]


def _number(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit()):  # int() takes "+1", "1_0" and "١" too
        raise ValueError(raw)
    return int(raw)


_READERS: dict[str, tuple[Callable[[str, DbModeNumbers], object], str]] = {
    "name": (lambda raw, _: raw, "any name"),
    "size": (lambda raw, _: _number(raw), "a number of items >= 0 (0: no limit)"),
    "dbmode": (_dbmode, "0 to 3, or none, both, save, load"),
    "addmode": (lambda raw, _: AddMode(_number(raw)), "0 (append), 1 (unique, keep the oldest) or 2 (unique, keep the newest)"),
}
