"""The module parameters of mqueue: what ``modparam("mqueue", NAME, VALUE)`` accepts, gathered before any queue is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mqueue.definition import AddMode, DbModeNumbers, Definition, read_attribute
from mqueue.errors import DefinitionError
from mqueue.registry import Registry


@dataclass
class Parameters:
    """The queues to make and where they are kept. `definitions` is by name, in the order given."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    db_url: str | None = None
    recovery_dir: str | None = None
    numbers: DbModeNumbers = DbModeNumbers.DOCUMENTED
    default_size: int = 0
    default_addmode: AddMode = AddMode.APPEND

    def set(self, name: str, value: str | int) -> None:
        """Take one parameter; DefinitionError says what is wrong with it and what is allowed."""
        setter = _SETTERS.get(name)
        if setter is None:
            raise DefinitionError(f"module mqueue has no parameter {name!r}; it has {', '.join(_SETTERS)}")
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise DefinitionError(f"mqueue parameter {name}: a string or a number is wanted, not {value!r}")
        setter(self, str(value))

    def define(self, definition: Definition) -> None:
        """Note a queue to be made; DefinitionError when its name is taken."""
        if definition.name in self.definitions:
            raise DefinitionError(f"mqueue redefined: {definition.name}; a name is given to one queue")
        self.definitions[definition.name] = definition

    def apply(self, registry: Registry) -> None:
        """Make the queues. One that exists already keeps what is on it, and gets the new size, dbmode and addmode."""
        for definition in self.definitions.values():
            queue = registry.get(definition.name)
            if queue is None:
                registry.define(definition)
            elif queue.definition != definition:
                queue.redefine(definition)


def _mqueue(to: Parameters, value: str) -> None:
    to.define(Definition.parse(value, to.numbers))


def _mqueue_name(to: Parameters, value: str) -> None:
    to.define(Definition(value.strip(), to.default_size, addmode=to.default_addmode))


def _mqueue_size(to: Parameters, value: str) -> None:
    to.default_size = read_attribute("size", value.strip(), f"mqueue_size={value}")


def _mqueue_addmode(to: Parameters, value: str) -> None:
    to.default_addmode = read_attribute("addmode", value.strip(), f"mqueue_addmode={value}")


def _db_url(to: Parameters, value: str) -> None:
    to.db_url = value.strip() or None


def _recovery_dir(to: Parameters, value: str) -> None:
    to.recovery_dir = value


def _dbmode_numbers(to: Parameters, value: str) -> None:
    if to.definitions:
        raise DefinitionError("dbmode_numbers stands after a queue: set it before the first, so that all are read alike")
    try:
        to.numbers = DbModeNumbers(value)
    except ValueError:
        raise DefinitionError(f"dbmode_numbers={value!r}: allowed are {', '.join(n.value for n in DbModeNumbers)}") from None


_SETTERS: dict[str, Callable[[Parameters, str], None]] = {
    "mqueue": _mqueue,
    "mqueue_name": _mqueue_name,
    "mqueue_size": _mqueue_size,
    "mqueue_addmode": _mqueue_addmode,
    "db_url": _db_url,
    "recovery_dir": _recovery_dir,
    "dbmode_numbers": _dbmode_numbers,
}
