"""SIP messages, bytes first: the head is split once into lines, a value is read when it is asked for.

`bytes(message)` gives back what was received, with the edits that were made in between: order, spelling, folded lines,
compact forms, unknown header fields and binary bodies survive. Rules of RFC 3261 section 7 that keep two readers from seeing
two different messages (line ends, names, the start line) are held here; what a proxy must refuse besides is in `validation`.
"""

from __future__ import annotations

import re
from typing import TypeVar

from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.grammar import split_values, unfold
from proxy.sip.names import METHODS, NAMES, TOKEN, FoldedLine, canonical

_FOLDED_LINES = re.compile(rb"\r\n(?![ \t])")
_VERSION = re.compile(rb"SIP/([0-9]+)\.([0-9]+)", re.IGNORECASE)

_Parsed = TypeVar("_Parsed", bound="Message")


class Message:
    """What requests and responses share.

    start_line: without its line end.
    lines: the header fields as received, without the line end, folds inside.
    names: their canonical names (lower case, long form), side by side with `lines`.
    body: the octets after the empty line, as many as Content-Length says where that is known.
    """

    __slots__ = ("_first", "_from", "_to", "body", "lines", "names", "start_line")

    def __init__(self, start_line: bytes, names: list[bytes], lines: list[bytes], body: bytes) -> None:
        self.start_line = start_line
        self.names = names
        self.lines = lines
        self.body = body
        self._first: dict[bytes, bytes] | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None

    def __bytes__(self) -> bytes:
        return b"\r\n".join((self.start_line, *self.lines, b"", self.body))

    def copy(self: _Parsed) -> _Parsed:
        """The same message, to be edited without changing this one."""
        twin = object.__new__(type(self))
        for slot in _SLOTS[type(self)]:
            setattr(twin, slot, getattr(self, slot))
        twin.names, twin.lines = self.names.copy(), self.lines.copy()
        return twin

    @property
    def first(self) -> dict[bytes, bytes]:
        """The first line of each canonical name. Not to be changed."""
        if self._first is None:
            self._first = dict(zip(reversed(self.names), reversed(self.lines), strict=True))
        return self._first

    def raw(self, name: bytes) -> bytes | None:
        """The value of the first field of this canonical name as received, stripped; None when there is none."""
        line = self.first.get(name)
        return None if line is None else value_of(line)

    def value(self, name: bytes) -> str | None:
        """The same as text: folds are one space, bytes that are not UTF-8 become surrogate escapes."""
        found = self.raw(name)
        return None if found is None else unfold(found.decode("utf-8", "surrogateescape"))

    def raw_fields(self, name: bytes) -> list[str]:
        """The value of every field of this canonical name, in order, as received."""
        pairs = zip(self.names, self.lines, strict=True)
        return [value_of(line).decode("utf-8", "surrogateescape") for at, line in pairs if at == name]

    def fields(self, name: bytes) -> list[str]:
        """The same with folds undone."""
        return [unfold(value) for value in self.raw_fields(name)]

    def values(self, name: bytes) -> list[str]:
        """Every value of a header field that is a comma separated list, whether in one field or in several."""
        return [value for field in self.fields(name) for value in split_values(field)]

    def values_at(self, index: int) -> list[str]:
        """The values of the field at `index` alone."""
        return split_values(unfold(value_of(self.lines[index]).decode("utf-8", "surrogateescape")))

    @property
    def call_id(self) -> str:
        """Call-ID; "" when it is absent."""
        found = self.raw(b"call-id")
        return "" if found is None else found.decode("utf-8", "surrogateescape")

    @property
    def from_(self) -> NameAddr:
        """From; ParseError when it is absent or malformed."""
        if self._from is None:
            self._from = self._address(b"from")
        return self._from

    @property
    def to(self) -> NameAddr:
        """To; ParseError when it is absent or malformed."""
        if self._to is None:
            self._to = self._address(b"to")
        return self._to

    @property
    def cseq(self) -> tuple[int, str]:
        """Sequence number and method; ParseError when CSeq is absent or malformed."""
        number, _, method = (self.value(b"cseq") or "").partition(" ")
        if not (number.isascii() and number.isdigit()) or not method:
            raise ParseError("Malformed CSeq")
        return int(number), method.strip()

    def _address(self, name: bytes) -> NameAddr:
        found = self.raw(name)
        if found is None:
            raise ParseError(f"Missing {name.decode().capitalize()}")
        try:
            return NameAddr.parse(found.decode("utf-8", "surrogateescape"))
        except ParseError:
            raise ParseError(f"Malformed {name.decode().capitalize()}") from None

    def insert(self, index: int, name: str, value: str) -> None:
        """Put a header field before the one at `index`. ValueError when it would break the message."""
        line = header_line(name, value)
        self._first = None
        self.names.insert(index, canonical(name.encode()))
        self.lines.insert(index, line)

    def append(self, name: str, value: str) -> None:
        """Put a header field behind all others."""
        self.insert(len(self.lines), name, value)

    def replace(self, index: int, value: str) -> None:
        """Give the field at `index` another value; its name stays as it is spelt."""
        line = self.lines[index]
        self._first = None
        self.lines[index] = line[: line.index(b":") + 1] + b" " + value.encode("utf-8", "surrogateescape")

    def delete(self, index: int) -> None:
        """Take out the field at `index`."""
        self._first = None
        del self.names[index], self.lines[index]

    def remove(self, name: str) -> int:
        """Take out every field of this name, in whatever spelling; how many there were."""
        wanted = canonical(name.encode())
        found = [index for index, at in enumerate(self.names) if at == wanted]
        for index in reversed(found):
            self.delete(index)
        return len(found)


class Request(Message):
    """A request: `method` and `request_uri` as received. `version_ok` is False for another SIP version than 2.0."""

    __slots__ = ("method", "request_uri", "version_ok")

    def __init__(self, start_line: bytes, names: list[bytes], lines: list[bytes], body: bytes) -> None:
        Message.__init__(self, start_line, names, lines, body)
        try:
            method, uri, version = start_line.split(b" ")
        except ValueError:
            raise ParseError("Malformed Request-Line: one space between Method, Request-URI and SIP-Version") from None
        self.method = METHODS.get(method) or _method(method)
        self.request_uri = uri.decode("utf-8", "surrogateescape")
        self.version_ok = version == b"SIP/2.0" or _is_version_2(version)
        if not uri:
            raise ParseError("Missing Request-URI")

    def set_request_uri(self, uri: str) -> None:
        """Send the request elsewhere: the Request-URI is replaced. ValueError when it could not stand in a start line."""
        if not uri or any(char in uri for char in " \r\n\t"):
            raise ValueError(f"{uri!r} cannot be a Request-URI")
        self.request_uri = uri
        self.start_line = b" ".join((self.method.encode(), uri.encode("utf-8", "surrogateescape"), b"SIP/2.0"))


class Response(Message):
    """A response: `status_code` (100 to 699) and `reason_phrase`, which may be empty."""

    __slots__ = ("reason_phrase", "status_code")

    def __init__(self, start_line: bytes, names: list[bytes], lines: list[bytes], body: bytes) -> None:
        super().__init__(start_line, names, lines, body)
        version, _, rest = start_line.partition(b" ")
        code, _, phrase = rest.partition(b" ")
        if not _is_version_2(version):
            raise ParseError("Version Not Supported", 505)
        if len(code) != 3 or not code.isdigit() or not b"100" <= code < b"700":
            raise ParseError("Status code out of range")
        self.status_code = int(code)
        self.reason_phrase = phrase.decode("utf-8", "surrogateescape")


_SLOTS = {
    Request: Message.__slots__ + Request.__slots__,
    Response: Message.__slots__ + Response.__slots__,
}


def value_of(line: bytes) -> bytes:
    """What stands behind the colon, without the white space around it."""
    return line.partition(b":")[2].strip()


def header_line(name: str, value: str) -> bytes:
    """A header field as it stands in a message. ValueError for a name that is none or a line end in the value."""
    try:
        canonical(name.encode())
    except ParseError:
        raise ValueError(f"{name!r} is no name of a header field") from None
    if "\r" in value or "\n" in value:
        raise ValueError(f"header field {name!r}: a line end in {value!r}")
    return f"{name}: {value}".encode("utf-8", "surrogateescape")


def parse(data: bytes) -> Request | Response:
    """The message in `data`, which starts with its start line; everything after the empty line is the body.

    Raises ParseError, and nothing else; where the header fields could be read it carries them, for an answer.
    """
    head, blank, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise ParseError("Line end other than CRLF in the head", message=_salvage(lines, body))
    start_line = lines.pop(0)
    try:
        names = [NAMES[line[: line.find(b":") + 1]] for line in lines]
    except FoldedLine:
        start_line, *lines = _FOLDED_LINES.split(head)
        names = _names_of(lines, start_line, body)
    except ParseError as error:
        error.message = _salvage([start_line, *lines], body)
        raise
    if not blank:
        raise ParseError("No empty line after the header fields", message=Message(start_line, names, lines, body))
    try:
        kind = Response if start_line[:4].upper() == b"SIP/" else Request
        return kind(start_line, names, lines, body)
    except ParseError as error:
        error.message = Message(start_line, names, lines, body)
        raise


def _names_of(lines: list[bytes], start_line: bytes, body: bytes) -> list[bytes]:
    """The canonical names of lines whose folds are undone."""
    try:
        return [NAMES[line[: line.find(b":") + 1]] for line in lines]
    except (ParseError, FoldedLine) as error:
        reason = error.reason if isinstance(error, ParseError) else "Header field without a name"
        raise ParseError(reason, message=_salvage([start_line, *lines], body)) from None


def _salvage(lines: list[bytes], body: bytes) -> Message:
    """What can be read of a broken head, for the answer that is owed: the lines that are header fields by themselves."""
    readable: list[tuple[bytes, bytes]] = []
    for line in lines[1:]:
        try:
            readable.append((NAMES[line[: line.find(b":") + 1]], line))
        except (ParseError, FoldedLine):
            continue
    kept = [(name, line) for name, line in readable if b"\r" not in line and b"\n" not in line]
    return Message(lines[0], [name for name, _ in kept], [line for _, line in kept], body)


def _method(method: bytes) -> str:
    if not TOKEN.fullmatch(method):
        raise ParseError("Malformed method")
    return method.decode("ascii")


def _is_version_2(version: bytes) -> bool:
    """True for SIP/2.0, False for another version; ParseError when it is no SIP-Version at all."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ParseError("Malformed SIP-Version")
    return (int(match[1]), int(match[2])) == (2, 0) and len(version) == 7
