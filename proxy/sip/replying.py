"""Responses made of slices of the request (RFC 3261 section 8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.message import Message
from proxy.sip.names import SINGLE, reason_phrase

_COPIED = frozenset((b"via", b"from", b"to", b"call-id", b"cseq"))
_COPIED_WITH_ROUTE = _COPIED | {b"record-route"}


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
    """The response to `request`: its Via, From, To, Call-ID and CSeq in their order, then `fields` and the body.

    to_tag: put on To unless it has a tag; b"" puts none (100 Trying).
    fields: further header fields, whole lines without their line ends.
    with_record_route: copy Record-Route too, as a response that makes a dialog must (RFC 3261 section 12.1.1).
    """
    copied = _COPIED_WITH_ROUTE if with_record_route else _COPIED
    lines = [status_line]
    lines += [line for name, line in zip(request.names, request.lines, strict=True) if name in copied]
    if to_tag and not _has_tag(request):
        to = request.first[b"to"]
        lines[lines.index(to)] = b"%b;tag=%b" % (to.rstrip(b" \t\r\n;"), to_tag)
    lines += fields
    lines.append(b"Content-Length: %d\r\n" % len(body))
    lines.append(body)
    return b"\r\n".join(lines)


def rejection(broken: Message, status_line: bytes, to_tag: bytes, fields: Iterable[bytes] = ()) -> bytes:
    """The response to a request that breaks the rules: of what may stand once, the first is copied, Via as far as it is there."""
    kept = [at for at, name in enumerate(broken.names) if name not in SINGLE or broken.names.index(name) == at]
    once = Message(broken.start_line, [broken.names[at] for at in kept], [broken.lines[at] for at in kept], b"")
    return response(once, status_line, to_tag, fields)


def _has_tag(request: Message) -> bool:
    try:
        to: NameAddr = request.to
    except ParseError:
        return True  # malformed: it goes back as it came
    return to.tag is not None
