"""What a proxy must refuse before a route sees it (RFC 3261 section 16.3, RFC 4475 sections 3.1.2 and 3.3), and nothing more."""

from __future__ import annotations

import re

from proxy.sip import uri
from proxy.sip.errors import ParseError
from proxy.sip.grammar import split_values
from proxy.sip.message import Message, Request, value_of
from proxy.sip.names import SINGLE
from proxy.sip.via import Address, Via, arrived

_MANDATORY = {b"via": "Via", b"from": "From", b"to": "To", b"call-id": "Call-ID", b"cseq": "CSeq"}
_CSEQ = re.compile(rb"[^:]*:[ \t\r\n]*([0-9]{1,12})[ \t\r\n]+([^ \t\r\n]+)[ \t\r\n]*")
_MAX_CSEQ = 2**31  # RFC 3261 section 8.1.1.5
_PLAIN_URI = re.compile(r"sips?:(?:[A-Za-z0-9\-_.!~*'()&=+$,;]+@)?[A-Za-z0-9.\-]+(?::[0-9]{1,4})?", re.IGNORECASE)
_URI_WITHOUT_SPACE = re.compile(r"[^\s<>\"]+")

# Schemes that a route may see. `tel` is for routes to translate (RFC 3966).
SCHEMES = ("sip", "sips", "tel")


def check_request(request: Request, source: Address) -> Address:
    """Hold `request` to the rules, stamp its top Via, and say where its response goes.

    source: host and port that it came from. Raises ParseError with the status code that is owed: 400, 416 or 505.
    """
    if not request.version_ok:
        raise ParseError("Version Not Supported", 505)
    method, _, _ = request.start_line.partition(b" ")
    _check_common(request, method)
    if not _PLAIN_URI.fullmatch(request.request_uri):
        _check_request_uri(request.request_uri)
    max_forwards = request.raw(b"max-forwards")
    if max_forwards is not None and not (max_forwards.isdigit() and int(max_forwards) <= 255):
        raise ParseError("Max-Forwards out of range")
    return _stamp(request, source)


def check_response(response: Message) -> Via:
    """Hold a response to the rules; its top Via. ParseError when it must be dropped."""
    _check_common(response, None)
    return Via.parse(response.values_at(response.names.index(b"via"))[0])


def top_via_of(message: Message, source: Address) -> Address | None:
    """Where an answer to a broken request goes, its top Via stamped; None when there is no Via to answer to."""
    if b"via" not in message.names:
        return None
    try:
        return _stamp(message, source)
    except ParseError:
        return None


def _check_common(message: Message, method: bytes | None) -> None:
    first = message.first
    if not first.keys() >= _MANDATORY.keys():
        missing = [label for name, label in _MANDATORY.items() if name not in first]
        raise ParseError(f"Missing {', '.join(missing)}")
    if len(first) != len(message.names):
        _check_single(message)
    cseq = _CSEQ.fullmatch(first[b"cseq"])
    if cseq is None or int(cseq[1]) >= _MAX_CSEQ:
        raise ParseError("Malformed CSeq")
    if method is not None and cseq[2] != method:
        raise ParseError("Method of CSeq and Request-Line differ")
    message.from_  # noqa: B018 -- raises when malformed, and is kept for the route
    message.to  # noqa: B018


def _check_single(message: Message) -> None:
    for name in SINGLE:
        if message.names.count(name) > 1:
            lengths = set(message.fields(name)) if name == b"content-length" else ()
            if len(lengths) != 1:
                raise ParseError(f"More than one {name.decode().title()}")


def _check_request_uri(text: str) -> None:
    scheme = uri.scheme(text)
    if not _URI_WITHOUT_SPACE.fullmatch(text) or not scheme:
        raise ParseError("Malformed Request-URI")
    if scheme not in SCHEMES:
        raise ParseError("Unsupported URI Scheme", 416)
    if scheme != "tel" and uri.SipUri.parse(text).headers is not None:
        raise ParseError("Header fields in the Request-URI")


def _stamp(message: Message, source: Address) -> Address:
    """Add received and rport to the first value of the top Via; where its response goes."""
    line = message.first[b"via"]
    text = value_of(line).decode("utf-8", "surrogateescape")
    first = split_values(text)[0] if "," in text else text
    value, reply_to = arrived(first, source)
    if value is not first:
        message.replace(message.names.index(b"via"), value + text[text.index(first) + len(first) :])
    return reply_to
