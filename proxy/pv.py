"""Pseudo-variables: Kamailio's names, one table, a row each.

Values are what ``KSR.pv.get`` gives: a string, an integer, or None where Kamailio has $null. Bytes of the wire that are not UTF-8
come as surrogate escapes.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import mqueue
from proxy.errors import PseudoVariableError
from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.names import canonical
from proxy.sip.uri import SIP_URI, SipUri, scheme
from proxy.sip.via import default_port

if TYPE_CHECKING:
    from proxy.request import Request

Value = str | int | None
Get = Callable[["Request"], Value]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_BARE = rf"\$({_NAME})(?:\(([^()]*)\))?"
_WRAPPED = rf"\$\(({_NAME})(?:\(([^()]*)\))?(?:\[(-?[0-9]+|\*)\])?\)"
_VARIABLE = re.compile(f"{_WRAPPED}|{_BARE}")
_IN_TEXT = re.compile(rf"(\$\$)|(?:{_WRAPPED}|{_BARE})|(\$)")


@dataclass(frozen=True, slots=True)
class Getter:
    """A compiled pseudo-variable or text: what it reads, and the queues it names."""

    get: Get
    queues: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def compile_name(name: str) -> Getter:
    """The getter for ``$fU``, ``$hdr(X)``, ``$(hdr(X)[-1])``; PseudoVariableError when there is no such variable."""
    match = _VARIABLE.fullmatch(name)
    if match is None:
        raise PseudoVariableError(f"{name!r} is no pseudo-variable: write $name, $name(argument) or $(name(argument)[index])")
    return _getter(name, *_parts(match))


@lru_cache(maxsize=1024)
def compile_text(text: str) -> Getter:
    """The getter for a text with pseudo-variables in it, as xlog takes it: $null is ``<null>``, ``$$`` is a dollar sign."""
    pieces: list[str | Get] = []
    queues: list[str] = []
    end = 0
    for match in _IN_TEXT.finditer(text):
        pieces.append(text[end : match.start()])
        end = match.end()
        if match[1]:
            pieces.append("$")
        elif match[match.re.groups]:
            raise PseudoVariableError(f"a $ at {match.start()} in {text!r} starts no pseudo-variable; write $$ for a dollar sign")
        else:
            getter = _getter(match[0], *_parts(match, 1))
            pieces.append(getter.get)
            queues += getter.queues
    pieces.append(text[end:])
    return Getter(lambda request: "".join([piece if isinstance(piece, str) else _shown(piece(request)) for piece in pieces]), tuple(queues))


def _shown(value: Value) -> str:
    return "<null>" if value is None else str(value)


def _parts(match: re.Match[str], skip: int = 0) -> tuple[str, str | None, str | None]:
    """Name, argument and index of a match of `_WRAPPED` or `_BARE`, whose groups start after `skip` others."""
    wrapped, argument, index, bare, bare_argument = match.groups()[skip : skip + 5]
    return (wrapped, argument, index) if wrapped else (bare, bare_argument, None)


def _getter(text: str, name: str, argument: str | None, index: str | None) -> Getter:
    if name in _WITH_ARGUMENT:
        if not argument:
            raise PseudoVariableError(f"{text}: ${name} wants an argument, ${name}(...)")
        return _WITH_ARGUMENT[name](argument.strip(), index)
    if name not in _PLAIN:
        close = difflib.get_close_matches(name, [*_PLAIN, *_WITH_ARGUMENT], n=3, cutoff=0.4)
        raise PseudoVariableError(f"there is no pseudo-variable ${name}" + (f"; did you mean ${', $'.join(close)}?" if close else ""))
    if argument is not None or index is not None:
        raise PseudoVariableError(f"{text}: ${name} takes no argument and no index")
    return Getter(_PLAIN[name])


def _user(uri: str) -> str | None:
    match = SIP_URI.fullmatch(uri)
    if match is not None:
        return match[2]
    return uri[4:].partition(";")[0] if scheme(uri) == "tel" else None


def _host(uri: str) -> str | None:
    match = SIP_URI.fullmatch(uri)
    return match[4] if match is not None else None


def _request_port(request: Request) -> str | None:
    try:
        uri = SipUri.parse(request.request_uri)
    except ParseError:
        return None
    return str(uri.port or default_port(uri.transport))


def _display(address: NameAddr) -> str | None:
    return address.display or None


def _raw(request: Request, name: bytes) -> str | None:
    found = request.message.raw(name)
    return None if found is None else found.decode("utf-8", "surrogateescape")


_PLAIN: Mapping[str, Get] = {
    "rm": lambda request: request.method,
    "ru": lambda request: request.request_uri,
    "rU": lambda request: _user(request.request_uri),
    "rd": lambda request: _host(request.request_uri),
    "rp": _request_port,
    "fu": lambda request: request.message.from_.uri,
    "fU": lambda request: _user(request.message.from_.uri),
    "fd": lambda request: _host(request.message.from_.uri),
    "fn": lambda request: _display(request.message.from_),
    "ft": lambda request: request.message.from_.tag,
    "tu": lambda request: request.message.to.uri,
    "tU": lambda request: _user(request.message.to.uri),
    "td": lambda request: _host(request.message.to.uri),
    "tn": lambda request: _display(request.message.to),
    "tt": lambda request: request.message.to.tag,
    "ci": lambda request: request.call_id or None,
    "cs": lambda request: next(iter((_raw(request, b"cseq") or "").split()), None),
    "si": lambda request: request.source[0],
    "sp": lambda request: request.source[1],
    "Ri": lambda request: request.transport.local[0],
    "Rp": lambda request: request.transport.local[1],
    "proto": lambda request: request.transport.protocol.lower(),
    "ua": lambda request: _raw(request, b"user-agent"),
    "ct": lambda request: _raw(request, b"contact"),
    "rb": lambda request: request.message.body.decode("utf-8", "surrogateescape"),
    "rs": lambda request: None,  # reply status and reason: $null in a request
    "rr": lambda request: None,
    "mb": lambda request: request.received.decode("utf-8", "surrogateescape"),
    "ml": lambda request: len(request.received),
    "TS": lambda request: int(time.time()),
    "TF": lambda request: time.strftime("%a %b %e %H:%M:%S %Y"),
}


def _header(argument: str, index: str | None) -> Getter:
    try:
        name = canonical(argument.encode("utf-8"))
    except ParseError:
        raise PseudoVariableError(f"$hdr({argument}): {argument!r} is no header field name") from None
    if index == "*":
        return Getter(lambda request: ",".join(request.message.raw_fields(name)) or None)
    if index in (None, "0"):
        return Getter(lambda request: _raw(request, name))
    at = int(index or 0)

    def get(request: Request) -> str | None:
        fields = request.message.raw_fields(name)
        return fields[at] if -len(fields) <= at < len(fields) else None

    return Getter(get)


def _queue_variable(read: Callable[[str], Value]) -> Callable[[str, str | None], Getter]:
    def make(argument: str, _: str | None) -> Getter:
        return Getter(lambda request: read(argument), (argument,))

    return make


_WITH_ARGUMENT: Mapping[str, Callable[[str, str | None], Getter]] = {
    "hdr": _header,
    "mqk": _queue_variable(lambda queue: mqueue.mqk(queue) or None),  # $null for an empty string, as in Kamailio
    "mqv": _queue_variable(lambda queue: mqueue.mqv(queue) or None),
    "mq_size": _queue_variable(lambda queue: mqueue.mq_size(queue) if queue in mqueue.queues else None),
}
