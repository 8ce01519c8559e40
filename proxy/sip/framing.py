"""Where a message ends: in a datagram and on a stream (RFC 3261 section 18.3, RFC 5626 section 3.5.1)."""

from __future__ import annotations

import re

from proxy.sip.errors import FramingError, ParseError
from proxy.sip.message import Message, Request, Response, parse, usual_request

MAX_HEAD = 65536  # bytes of start line and header fields on a stream
MAX_BODY = 1 << 20  # bytes of body on a stream
PONG = b"\r\n"  # the answer to CR LF CR LF between messages (RFC 5626 section 3.5.1)
_HEAD_END = b"\r\n\r\n"
_LINE_ENDS = (bytearray(b"\r"), bytearray(b"\n"))

_LENGTH_DIGITS = 9  # of a Content-Length: more could not be held anyway
_BLANK = re.compile(rb"[\r\n]*")
_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t\r\n]*([^\r\n]*)", re.IGNORECASE)


def parse_message(data: bytes) -> Request | Response:
    """The message in a datagram, or cut from a stream: octets behind Content-Length are ignored, too few are a ParseError."""
    usual = usual_request(data)
    if usual is not None:
        return usual
    message = parse(data if data[:1] != b"\r" else data.lstrip(b"\r\n"))
    index = message.shape.at.get(b"content-length")
    if index is not None:
        value = message.lines[index].partition(b":")[2].strip()
        if not value.isdigit() or len(value) > _LENGTH_DIGITS:
            raise ParseError("Malformed Content-Length", message=message)
        length = int(value)
        if length > len(message.body):
            raise ParseError("Content-Length larger than the message", message=message)
        if length < len(message.body):
            message.body = message.body[:length]
    return message


class StreamFramer:
    """Cuts the bytes of one connection into messages, however they were split or glued on the way.

    Feed it with `receive_data`; take messages with `next_message` until it has none. Work is linear in the bytes received.
    """

    def __init__(self, max_head: int = MAX_HEAD, max_body: int = MAX_BODY) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self._buffer = bytearray()
        self._searched = 0  # no empty line starts before this offset
        self._needed = 0  # length of the message being received, once its head is complete
        self.pings = 0  # keep-alives (CRLF CRLF) that wait for a pong

    @property
    def buffered(self) -> int:
        """Bytes received that are no complete message yet."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the connection."""
        self._buffer += data

    def next_message(self) -> bytes | None:
        """The next whole message, or None until more has come.

        Raises FramingError when it has no usable Content-Length or is too large; the error carries what can be answered.
        """
        if not self._needed and not self._find_head():
            return None
        if len(self._buffer) < self._needed:
            return None
        message = bytes(self._buffer[: self._needed])
        del self._buffer[: self._needed]
        self._searched = self._needed = 0
        return message

    def _find_head(self) -> bool:
        if self._buffer[:1] in _LINE_ENDS:
            self._skip_keep_alives()
        end = self._buffer.find(_HEAD_END, self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - 3)
        if (end if end >= 0 else len(self._buffer)) > self._max_head:
            raise FramingError(f"Header fields longer than {self._max_head} bytes", 513)
        if end >= 0:
            self._needed = end + 4 + self._body_length(end)
        return end >= 0

    def _skip_keep_alives(self) -> None:
        """Take the line ends before a start line; two in a row are a ping (RFC 5626 section 4.4.1)."""
        found = _BLANK.match(self._buffer)
        assert found is not None  # it matches the empty string too
        blank = found.end()
        if blank == len(self._buffer):
            blank -= blank % 4  # the rest of a ping may be on its way
        if blank:
            self.pings += blank // 4
            del self._buffer[:blank]

    def _body_length(self, end: int) -> int:
        head = bytes(self._buffer[: end + 4])
        found = {value.strip() for value in _CONTENT_LENGTH.findall(head)}
        value = found.pop() if len(found) == 1 else b""
        if not value.isdigit() or len(value) > _LENGTH_DIGITS:
            raise FramingError("A stream needs one Content-Length", message=_answerable(head))
        if int(value) > self._max_body:
            raise FramingError(f"Body longer than {self._max_body} bytes", 513, _answerable(head))
        return int(value)


def _answerable(head: bytes) -> Message | None:
    try:
        return parse(head)
    except ParseError as error:
        return error.message
