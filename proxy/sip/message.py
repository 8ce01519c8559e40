"""SIP messages, bytes first: the head is split once into lines, a value is read when it is asked for.

`bytes(message)` gives back what was received, with the edits that were made in between: order, spelling, folded lines,
compact forms, unknown header fields and binary bodies survive. Rules of RFC 3261 section 7 that keep two readers from seeing
two different messages (line ends, names, the start line) are held here; what a proxy must refuse besides is in `validation`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeVar

from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.grammar import split_values, unfold
from proxy.sip.names import METHODS, TOKEN, FoldedLine, canonical
from proxy.sip.shape import Shape, shape_of
from proxy.sip.usual import USUAL, Parts, note

_FOLDED_LINES = re.compile(rb"\r\n(?![ \t])")
_LINE_END = re.compile(r"\r(?!\n[ \t])|(?<!\r)\n")
_VERSION = re.compile(rb"SIP/([0-9]+)\.([0-9]+)", re.IGNORECASE)

_Parsed = TypeVar("_Parsed", bound="Message")


class Message:
    """What requests and responses share.

    start_line: without its line end.
    lines: the header fields as received, without the line end, folds inside. Edit them through the methods.
    shape: their canonical names (lower case, long form), and what follows from them.
    body: the octets after the empty line, as many as Content-Length says where that is known.
    parts: the values of a request that came in the usual form and was not edited since, else None.
    """

    __slots__ = ("_from", "_to", "body", "lines", "parts", "shape", "start_line")

    def __init__(self, start_line: bytes, shape: Shape, lines: list[bytes], body: bytes) -> None:
        self.start_line = start_line
        self.shape = shape
        self.lines = lines
        self.body = body
        self.parts: Parts | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None

    def __bytes__(self) -> bytes:
        return b"\r\n".join((self.start_line, *self.lines, b"", self.body))

    def copy(self: _Parsed) -> _Parsed:
        """The same message, to be edited without changing this one."""
        twin = object.__new__(type(self))
        for slot in _SLOTS[type(self)]:
            setattr(twin, slot, getattr(self, slot))
        twin.lines = self.lines.copy()
        return twin

    def index(self, name: bytes) -> int:
        """Where the first field of this canonical name stands; -1 when there is none."""
        return self.shape.at.get(name, -1)

    def raw(self, name: bytes) -> bytes | None:
        """The value of the first field of this canonical name as received, stripped; None when there is none."""
        index = self.shape.at.get(name, -1)
        return None if index < 0 else value_of(self.lines[index])

    def value(self, name: bytes) -> str | None:
        """The same as text: folds are one space, bytes that are not UTF-8 become surrogate escapes."""
        found = self.raw(name)
        return None if found is None else unfold(found.decode("utf-8", "surrogateescape"))

    def raw_fields(self, name: bytes) -> list[str]:
        """The value of every field of this canonical name, in order, as received."""
        pairs = zip(self.shape.names, self.lines, strict=True)
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
        index = self.shape.at.get(b"call-id")
        return "" if index is None else self.lines[index].partition(b":")[2].strip().decode("utf-8", "surrogateescape")

    @property
    def from_(self) -> NameAddr:
        """From; ParseError when it is absent or malformed."""
        if self._from is None:
            parts = self.parts
            self._from = _usual_address(*parts.group("from_display", "from_uri", "from_params")) if parts else _address(self, b"from")
        return self._from

    @property
    def to(self) -> NameAddr:
        """To; ParseError when it is absent or malformed."""
        if self._to is None:
            parts = self.parts
            self._to = _usual_address(*parts.group("to_display", "to_uri", "to_params")) if parts else _address(self, b"to")
        return self._to

    @property
    def has_to_tag(self) -> bool:
        """True when To has a tag; ParseError when To is absent or malformed."""
        if self.parts is not None:
            return bool(self.parts["to_params"])
        return bool(self.to.params) and self.to.tag is not None

    @property
    def cseq(self) -> tuple[int, str]:
        """Sequence number and method; ParseError when CSeq is absent or malformed."""
        words = (self.raw(b"cseq") or b"").split()
        if len(words) != 2 or not words[0].isdigit() or len(words[0]) > 10:
            raise ParseError("Malformed CSeq")
        return int(words[0]), words[1].decode("utf-8", "surrogateescape")

    def insert(self, index: int, name: str, value: str) -> None:
        """Put a header field before the one at `index`. ValueError when it would break the message."""
        self.lines.insert(index, header_line(name, value))
        self._edited()

    def append(self, name: str, value: str) -> None:
        """Put a header field behind all others."""
        self.insert(len(self.lines), name, value)

    def replace(self, index: int, value: str) -> None:
        """Give the field at `index` another value; its name stays as it is spelt. ValueError for a line end that is no fold."""
        if _LINE_END.search(value):
            raise ValueError(f"header field {self.shape.names[index].decode()!r}: a line end in {value!r}")
        line = self.lines[index]
        self._from = self._to = self.parts = None
        self.lines[index] = line[: line.index(b":") + 1] + b" " + value.encode("utf-8", "surrogateescape")

    def delete(self, index: int) -> None:
        """Take out the field at `index`."""
        del self.lines[index]
        self._edited()

    def remove(self, name: str) -> int:
        """Take out every field of this name, in whatever spelling; how many there were."""
        wanted = canonical(name.encode())
        kept = [line for at, line in zip(self.shape.names, self.lines, strict=True) if at != wanted]
        removed = len(self.lines) - len(kept)
        self.lines = kept
        self._edited()
        return removed

    def _edited(self) -> None:
        self._from = self._to = self.parts = None
        self.shape = shape_of(self.lines)


class Request(Message):
    """A request: `method` and `request_uri` as received. `version_ok` is False for another SIP version than 2.0."""

    __slots__ = ("method", "request_uri", "version_ok")

    def __init__(self, start_line: bytes, shape: Shape, lines: list[bytes], body: bytes) -> None:
        # What Message.__init__ does; the call alone costs a fiftieth of a request.
        self.start_line, self.shape, self.lines, self.body = start_line, shape, lines, body
        self._from = self._to = self.parts = None
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

    def __init__(self, start_line: bytes, shape: Shape, lines: list[bytes], body: bytes) -> None:
        super().__init__(start_line, shape, lines, body)
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


def usual_request(data: bytes) -> Request | None:
    """The request in `data` when it has the usual form (see `usual`), its Content-Length included; None otherwise."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    usual = USUAL.get(len(lines) - 1)
    parts = usual.read(head) if usual is not None else None
    if usual is None or parts is None or int(parts["length"]) != len(body):
        return None
    request = object.__new__(Request)
    request.start_line = lines.pop(0)
    request.shape, request.lines, request.body, request.parts = usual.shape, lines, body, parts
    request._from = request._to = None
    method, uri = parts.group(1, 2)
    request.method = METHODS.get(method) or method.decode()
    request.request_uri = uri.decode()
    request.version_ok = True
    return request


def parse(data: bytes) -> Request | Response:
    """The message in `data`, which starts with its start line; everything after the empty line is the body.

    Raises ParseError, and nothing else; where the header fields could be read it carries them, for an answer.
    """
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        head = head.removesuffix(b"\r\n")
    lines = head.split(b"\r\n")
    ends = len(lines) - 1
    start_line = lines.pop(0)
    if head.count(b"\n") != ends or head.count(b"\r") != ends:
        raise ParseError("Line end other than CRLF in the head", message=_salvage(start_line, lines, body))
    try:
        shape = shape_of(lines)
    except FoldedLine:
        start_line, *lines = _FOLDED_LINES.split(head)
        shape = _shape_of_unfolded(start_line, lines, body)
    except ParseError as error:
        error.message = _salvage(start_line, lines, body)
        raise
    try:
        if not blank:
            raise ParseError("No empty line after the header fields")
        is_response = start_line[:1] in b"Ss" and start_line[:4].upper() == b"SIP/"
        if is_response:
            return Response(start_line, shape, lines, body)
        note(shape)
        return Request(start_line, shape, lines, body)
    except ParseError as error:
        error.message = Message(start_line, shape, lines, body)
        raise


def _shape_of_unfolded(start_line: bytes, lines: list[bytes], body: bytes) -> Shape:
    try:
        return shape_of(lines)
    except (ParseError, FoldedLine) as error:
        reason = error.reason if isinstance(error, ParseError) else "Header field without a name"
        raise ParseError(reason, message=_salvage(start_line, lines, body)) from None


def _salvage(start_line: bytes, lines: list[bytes], body: bytes) -> Message:
    """What can be read of a broken head, for the answer that is owed: the lines that are header fields by themselves."""
    kept = [line for line in lines if _is_readable(line)]
    return Message(start_line, shape_of(kept), kept, body)


def _is_readable(line: bytes) -> bool:
    try:
        shape_of([line])
    except (ParseError, FoldedLine):
        return False
    return b"\r" not in line and b"\n" not in line


def _usual_address(display: bytes, uri: bytes, params: bytes) -> NameAddr:
    return NameAddr(
        display.decode("utf-8", "surrogateescape"), uri.decode("utf-8", "surrogateescape"), params.decode("utf-8", "surrogateescape")
    )


def _address(message: Message, name: bytes) -> NameAddr:
    index = message.shape.at.get(name)
    if index is None:
        raise ParseError(f"Missing {name.decode().capitalize()}")
    text = message.lines[index].partition(b":")[2].strip().decode("utf-8", "surrogateescape")
    try:
        # Without a tag it names somebody, not a dialogue: the same text comes again and again.
        return NameAddr.parse(text) if ";tag" in text or len(text) > _LONGEST_KEPT else _known_address(text)
    except ParseError:
        raise ParseError(f"Malformed {name.decode().capitalize()}") from None


_LONGEST_KEPT = 256  # characters of an address that is remembered: strangers cannot fill the memory with longer ones
_known_address = lru_cache(maxsize=2048)(NameAddr.parse)


def _method(method: bytes) -> str:
    if not TOKEN.fullmatch(method):
        raise ParseError("Malformed method")
    return method.decode("ascii")


def _is_version_2(version: bytes) -> bool:
    """True for SIP/2.0, False for another version; ParseError when it is no SIP-Version at all."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ParseError("Malformed SIP-Version")
    return (match[1], match[2]) == (b"2", b"0")
