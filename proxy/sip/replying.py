"""Responses made of slices of the request (RFC 3261 section 8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.sip.errors import ParseError
from proxy.sip.message import Message
from proxy.sip.names import SINGLE, reason_phrase
from proxy.sip.shape import shape_of


def status_line(status_code: int, reason: str | None = None) -> bytes:
    """``SIP/2.0 200 OK``. ValueError for a status code that does not exist or a reason with a line end."""
    if not 100 <= status_code <= 699:
        raise ValueError(f"status code {status_code}: allowed is 100 to 699")
    phrase = reason_phrase(status_code) if reason is None else reason
    if "\r" in phrase or "\n" in phrase:
        raise ValueError(f"reason phrase {phrase!r} has a line end")
    return f"SIP/2.0 {status_code} {phrase}".encode("utf-8", "surrogateescape")


def response(
    request: Message,
    status_line: bytes,
    to_tag: bytes,
    fields: Iterable[bytes] = (),
    body: bytes = b"",
    with_record_route: bool = False,
) -> bytes:
    """The response to `request`: its Via, From, To, Call-ID and CSeq in the order of the request, then `fields` and the body.

    to_tag: put on To unless it has a tag; b"" puts none (100 Trying).
    fields: further header fields, whole lines without their line ends.
    with_record_route: copy Record-Route too, as a response that makes a dialog must (RFC 3261 section 12.1.1).
    """
    shape = request.shape
    length = b"Content-Length: %d\r\n" % len(body) if body else b"Content-Length: 0\r\n"
    lines = [status_line, *shape.copied(request.lines), *fields, length, body]
    if to_tag and not _has_tag(request):
        at = 1 + shape.to_in_copied
        lines[at] = b"%b;tag=%b" % (lines[at].rstrip(b" \t\r\n;"), to_tag)
    if with_record_route:
        lines[-2:-2] = [line for name, line in zip(shape.names, request.lines, strict=True) if name == b"record-route"]
    return b"\r\n".join(lines)


def rejection(broken: Message, status_line: bytes, to_tag: bytes, fields: Iterable[bytes] = ()) -> bytes:
    """The response to a request that breaks the rules: of what may stand once, the first is copied, Via as far as it is there."""
    at = broken.shape.at
    kept = [
        line
        for index, (name, line) in enumerate(zip(broken.shape.names, broken.lines, strict=True))
        if name not in SINGLE or at[name] == index
    ]
    once = Message(broken.start_line, shape_of(kept), kept, b"")
    return response(once, status_line, to_tag, fields)


def _has_tag(request: Message) -> bool:
    try:
        return request.has_to_tag
    except ParseError:
        return True  # malformed: it goes back as it came
