"""What a proxy must refuse before a route sees it (RFC 3261 section 16.3, RFC 4475 sections 3.1.2 and 3.3), and nothing more."""

from __future__ import annotations

import re

from proxy.sip import uri
from proxy.sip.errors import ParseError
from proxy.sip.grammar import split_values
from proxy.sip.message import Message, Request, value_of
from proxy.sip.via import Address, Via, arrived

_MAX_CSEQ = 2**31  # RFC 3261 section 8.1.1.5
_PLAIN_URI = re.compile(uri.PLAIN_URI)
_URI_WITHOUT_SPACE = re.compile(r"[^\s<>\"]+")

# Schemes that a route may see. `tel` is for routes to translate (RFC 3966).
SCHEMES = ("sip", "sips", "tel")


def check_request(request: Request, source: Address) -> Address:
    """Hold `request` to the rules, stamp its top Via, and say where its response goes.

    source: host and port that it came from. Raises ParseError with the status code that is owed: 400, 416 or 505.
    """
    parts = request.parts
    if parts is not None:  # all the rules below hold
        host, port = parts.group("host", "port")
        return (source[0], int(port or 5060)) if host.decode() == source[0] else _stamp(request, source)
    if not request.version_ok:
        raise ParseError("Version Not Supported", 505)
    method, _, _ = request.start_line.partition(b" ")
    _check_common(request, method)
    if not _PLAIN_URI.fullmatch(request.request_uri):
        _check_request_uri(request.request_uri)
    hops = request.shape.at.get(b"max-forwards")
    if hops is not None and not _is_hop_count(request.lines[hops].partition(b":")[2].strip()):
        raise ParseError("Max-Forwards out of range")
    return _stamp(request, source)


def check_response(response: Message) -> Via:
    """Hold a response to the rules; its top Via. ParseError when it must be dropped."""
    _check_common(response, None)
    return Via.parse(response.values_at(response.index(b"via"))[0])


def top_via_of(message: Message, source: Address) -> Address | None:
    """Where an answer to a broken request goes, its top Via stamped; None when there is no Via to answer to.

    A Via that cannot be read is no reason for silence: the answer goes back to where the request came from.
    """
    try:
        return _stamp(message, source) if message.index(b"via") >= 0 else None
    except ParseError:
        return source


def _check_common(message: Message, method: bytes | None) -> None:
    shape = message.shape
    if shape.missing:
        raise ParseError(f"Missing {shape.missing}")
    if shape.repeated:
        _check_repeated(message)
    number, method_of_cseq = _cseq(message.lines[shape.at[b"cseq"]])
    if not number.isdigit() or len(number) > 10 or int(number) >= _MAX_CSEQ:
        raise ParseError("Malformed CSeq")
    if method is not None and method_of_cseq != method:
        raise ParseError("Method of CSeq and Request-Line differ")
    message.from_  # noqa: B018 -- raises when malformed, and is kept for the route
    message.to  # noqa: B018


def _cseq(line: bytes) -> list[bytes]:
    words = line.partition(b":")[2].split()
    if len(words) != 2:
        raise ParseError("Malformed CSeq")
    return words


def _is_hop_count(value: bytes) -> bool:
    return value.isdigit() and len(value) < 9 and int(value) <= 255


def _check_repeated(message: Message) -> None:
    for name in message.shape.repeated:
        if name != b"content-length" or len(set(message.fields(name))) > 1:
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
    index = message.shape.at[b"via"]
    text = value_of(message.lines[index]).decode("utf-8", "surrogateescape")
    first = split_values(text)[0] if "," in text else text
    value, reply_to = arrived(first, source)
    if value is not first:
        message.replace(index, value + text[text.index(first) + len(first) :])
    return reply_to
