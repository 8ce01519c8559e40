"""Stateless forwarding (RFC 3261 sections 16.4, 16.6, 16.7 and 16.11): pure edits on messages, the next hop as the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.message import Message, Request, Response
from proxy.sip.uri import SipUri
from proxy.sip.via import MAGIC_COOKIE, Via, bare

DEFAULT_MAX_FORWARDS = 70  # RFC 3261 section 16.6 step 3

IsMyself = Callable[[str, int | None], bool]  # host (without brackets, lower case) and port of a URI


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where a request goes next: transport in upper case, host without brackets, port None where the URI names none."""

    protocol: str
    host: str
    port: int | None

    @classmethod
    def of(cls, uri: SipUri) -> NextHop:
        """The hop that a URI names, maddr considered (RFC 3261 section 16.6 step 7)."""
        return cls(uri.transport, bare(uri.param("maddr") or uri.host), uri.port)


def count_hop(request: Request) -> bool:
    """Take one from Max-Forwards, or add it; False when it is used up and 483 is owed (section 16.3 step 3)."""
    index = request.index(b"max-forwards")
    if index < 0:
        request.append("Max-Forwards", str(DEFAULT_MAX_FORWARDS))
        return True
    left = int(request.raw(b"max-forwards") or 0)
    request.replace(index, str(left - 1))
    return left > 0


def unsupported_extensions(request: Request) -> list[str]:
    """The option tags of Proxy-Require, none of which is supported: 420 is owed where there is one (section 16.3 step 5)."""
    return [tag for tag in request.values(b"proxy-require") if tag]


def pop_own_route(request: Request, is_myself: IsMyself) -> bool:
    """Take away the topmost Route value when it names this proxy (section 16.4); True when it did."""
    routes = request.values(b"route")
    if not routes:
        return False
    uri = _route_uri(routes[0])
    if not is_myself(bare(uri.host).lower(), uri.port):
        return False
    remove_first_value(request, b"route")
    return True


def next_hop(request: Request, to: SipUri | None) -> NextHop:
    """Where `request` goes: `to`, else its topmost Route, else its Request-URI (section 16.6 steps 6 and 7).

    A strict router in the topmost Route gets what it expects: its URI as Request-URI, ours as the last Route.
    """
    routes = request.values(b"route")
    if not routes:
        return NextHop.of(to or SipUri.parse(request.request_uri))
    first = _route_uri(routes[0])
    if to is None and first.param("lr") is None:
        remove_first_value(request, b"route")
        others = [index for index, name in enumerate(request.shape.names) if name == b"route"]
        request.insert(others[-1] + 1 if others else request.index(b"via"), "Route", f"<{request.request_uri}>")
        request.set_request_uri(str(first))
    return NextHop.of(to or first)


def push_via(request: Request, value: str) -> None:
    """Put our Via before all others."""
    request.insert(request.index(b"via"), "Via", value)


def stateless_branch(request: Request, via: Via) -> str:
    """A branch that is the same for a retransmission, for the CANCEL and for the ACK of a request (section 16.11).

    via: the top Via as received. A branch with the magic cookie is unique by itself; without one the transaction is told by
    the fields of RFC 2543.
    """
    branch = via.branch
    if branch.startswith(MAGIC_COOKIE):
        key = f"{branch}|{via.sent_by}"
    else:
        number, _ = request.cseq
        key = f"{via}|{request.to.tag}|{request.from_.tag}|{request.call_id}|{number}|{request.request_uri}"
    digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return f"{MAGIC_COOKIE}-{digest}"


def pop_via(response: Response) -> Via | None:
    """Take our Via away; the one below it, to which the response goes, or None when there is none. ParseError when malformed."""
    remove_first_value(response, b"via")
    below = response.values(b"via")
    return Via.parse(below[0]) if below else None


def remove_first_value(message: Message, name: bytes) -> None:
    """Take the first value of a comma separated header field away, and the field when it was the only one."""
    index = message.index(name)
    values = message.values_at(index)
    if len(values) > 1:
        message.replace(index, ", ".join(values[1:]))
    else:
        message.delete(index)


def _route_uri(value: str) -> SipUri:
    try:
        return NameAddr.parse(value).sip_uri
    except ParseError as error:
        raise ParseError(f"Malformed Route: {error.reason}") from None
