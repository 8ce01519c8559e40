"""The usual request, read and checked by one expression.

A client sends its header fields in the same order and spelling again and again, and nearly always in the plainest form of the
grammar. For a shape that was seen often, one regular expression matches the whole head of such a request: when it fits, every
rule of `validation` holds and the values are at hand. When it does not, nothing is known, and the general way decides; both
ways give the same result (tests/proxy/sip/test_usual.py).
"""

from __future__ import annotations

import re

from proxy.sip import grammar
from proxy.sip.shape import Shape
from proxy.sip.uri import PLAIN_URI

_TOKEN = grammar.TOKEN.encode()
_URI = PLAIN_URI.encode()
PORT = rb"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2})"  # a few real ones are left out
_ADDRESS = rb'(?P<%b_display>"[^"\\\r\n]*"|) ?<(?P<%b_uri>[^\s<>"]+)>(?P<%b_params>;tag=' + _TOKEN + b"|)"

_VALUES = {
    b"via": rb"SIP/2\.0/(?:UDP|TCP) (?P<host>[0-9.]+)(?::(?P<port>" + PORT + rb"))?;branch=" + _TOKEN,
    b"from": _ADDRESS.replace(b"%b", b"from"),
    b"to": _ADDRESS.replace(b"%b", b"to"),
    b"cseq": rb"[0-9]{1,9} (?P=method)",
    b"max-forwards": rb"[0-9]{1,2}",
    b"content-length": rb"(?P<length>[0-9]{1,6})",
}
_ANY_VALUE = rb"[^\r\n]*"

_SEEN_OFTEN = 100  # requests of a shape: to compile an expression costs as much as to read a hundred
_LINES_AT_MOST = 40  # header fields of a shape that gets an expression


Parts = re.Match[bytes]
"""What the expression found, as received, by the names of its groups: method, uri, host, port (or None), length, and of From and
To display (with its quotes), uri and params (``;tag=`` and the tag, or empty)."""


class Usual:
    """The expression for one shape. `read` gives the Parts of a head (start line and header fields), None when it has another form."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.read = re.compile(_expression(shape)).fullmatch


USUAL: dict[int, Usual] = {}
"""The expression to try on a request, by its number of header fields: that of the shape that came most lately."""


def note(shape: Shape) -> None:
    """A request of this shape went the general way: when that is frequent, give the shape an expression."""
    shape.seen += 1
    if shape.seen % _SEEN_OFTEN or len(shape.names) > _LINES_AT_MOST or not _fits(shape):
        return
    if shape.usual is None:
        shape.usual = Usual(shape)
    USUAL[len(shape.names)] = shape.usual


def _fits(shape: Shape) -> bool:
    return not shape.missing and not shape.repeated and b"content-length" in shape.at


def _expression(shape: Shape) -> bytes:
    parts = [rb"(?P<method>" + _TOKEN + rb") (?P<uri>" + _URI + rb") SIP/2\.0"]
    for index, (spelled, name) in enumerate(zip(shape.spelled, shape.names, strict=True)):
        value = _VALUES.get(name, _ANY_VALUE) if shape.at[name] == index else _ANY_VALUE
        parts.append(re.escape(spelled) + b"[ \t]*" + value)
    return b"\r\n".join(parts)
