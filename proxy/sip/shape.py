"""What follows from the names of the header fields alone, in their order and spelling.

A client sends the same names in the same order again and again, so a shape is worked out once and then only compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from proxy.sip.names import NAMES, SINGLE, FoldedLine

if TYPE_CHECKING:
    from proxy.sip.usual import Usual

MANDATORY = {b"via": "Via", b"from": "From", b"to": "To", b"call-id": "Call-ID", b"cseq": "CSeq"}

_KEPT_AT_MOST = 1024  # shapes remembered; strangers cannot make us remember more
_LINES_AT_MOST = 64  # of a shape that is remembered
_OCTETS_AT_MOST = 2048  # of its names together


class Shape:
    """The names of one message.

    spelled: as received, colon included. names: canonical. at: the index of the first field of each name.
    missing: the mandatory fields that are not there (RFC 3261 section 8.1.1), as people write them.
    repeated: the names that stand more than once though they may not.
    copied: takes from the lines those that a response copies; to_in_copied: where among them To is.
    seen: how many requests of this shape went the general way, and usual: the expression that it has by now (see `usual`).
    """

    __slots__ = ("at", "copied", "missing", "names", "repeated", "seen", "spelled", "to_in_copied", "usual")

    def __init__(self, spelled: tuple[bytes, ...]) -> None:
        self.spelled = spelled
        self.seen = 0
        self.usual: Usual | None = None
        self.names = tuple([NAMES[name] for name in spelled])
        self.at = {name: index for index, name in reversed(list(enumerate(self.names)))}
        self.missing = ", ".join(label for name, label in MANDATORY.items() if name not in self.at)
        self.repeated = tuple(name for name in SINGLE if self.names.count(name) > 1)
        copied = [index for index, name in enumerate(self.names) if name in MANDATORY]
        self.copied = _taker(copied)
        self.to_in_copied = copied.index(self.at[b"to"]) if b"to" in self.at else -1


def _taker(indexes: list[int]) -> Callable[[Sequence[bytes]], tuple[bytes, ...]]:
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda lines: tuple([lines[index] for index in indexes])


_starts_with = bytes.startswith
_shapes: dict[tuple[bytes, ...], Shape] = {}
_latest: dict[int, Shape] = {}  # by number of lines: what most likely comes next


def shape_of(lines: Sequence[bytes]) -> Shape:
    """The shape of these header lines. FoldedLine when one continues the line before, ParseError when one has no name."""
    latest = _latest.get(len(lines))
    if latest is not None and all(map(_starts_with, lines, latest.spelled)):
        return latest
    spelled = tuple([line[: line.find(b":") + 1] for line in lines])
    shape = _shapes.get(spelled)
    if shape is None:
        if any(line[:1] in (b" ", b"\t") for line in lines):
            raise FoldedLine
        shape = Shape(spelled)
        if len(lines) > _LINES_AT_MOST or sum(map(len, spelled)) > _OCTETS_AT_MOST:
            return shape
        if len(_shapes) >= _KEPT_AT_MOST:
            _shapes.clear()
        _shapes[spelled] = shape
    _latest[len(lines)] = shape
    return shape
