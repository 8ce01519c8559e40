"""A request as a route sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from proxy import pv
from proxy.errors import RequestError
from proxy.sip import message as sip
from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.names import canonical
from proxy.sip.replying import response, status_line
from proxy.sip.shape import MANDATORY
from proxy.sip.uri import SipUri
from proxy.sip.via import Address, bare

if TYPE_CHECKING:
    from proxy.receiver import Receiver
    from proxy.transport.base import Transport

_OK = status_line(200)
_RESERVED = MANDATORY.keys() | {b"content-length"}


class Request:
    """One request on its way through a route.

    A route answers it with `reply`, sends it on with `forward`, or lets it go with `drop`. What it does not decide is dropped,
    as in Kamailio.

    method: such as "INVITE". received: the datagram or stream message as it came. source: host and port it came from.
    transport: where it arrived; `transport.protocol` is UDP or TCP.
    is_decided: True once the route has replied finally, forwarded or dropped.
    """

    message: sip.Request
    method: str
    received: bytes
    source: Address
    transport: Transport

    __slots__ = ("_receiver", "_reply_to", "is_decided", "message", "method", "received", "source", "transport")

    def __init__(
        self,
        message: sip.Request,
        received: bytes,
        source: Address,
        transport: Transport,
        reply_to: Address,
        receiver: Receiver,
    ) -> None:
        self.message = message
        self.method = message.method
        self.received = received
        self.source = source
        self.transport = transport
        self._reply_to = reply_to
        self._receiver = receiver
        self.is_decided = False

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.request_uri} {self.call_id}>"

    @property
    def request_uri(self) -> str:
        """The Request-URI as text. Setting it sends a forwarded request elsewhere."""
        return self.message.request_uri

    @request_uri.setter
    def request_uri(self, uri: str) -> None:
        self.message.set_request_uri(uri)

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self.message.call_id

    @property
    def from_(self) -> NameAddr:
        """From: its display, uri, tag and params."""
        return self.message.from_

    @property
    def to(self) -> NameAddr:
        """To: its display, uri, tag and params."""
        return self.message.to

    @property
    def body(self) -> bytes:
        """The body, any octets."""
        return self.message.body

    def header(self, name: str) -> str | None:
        """The value of the first header field of this name, in whatever spelling; None when there is none."""
        return self.message.value(canonical(name.encode()))

    def headers(self, name: str) -> list[str]:
        """The values of all header fields of this name, one for each line, in order."""
        return self.message.fields(canonical(name.encode()))

    def append_header(self, name: str, value: str) -> None:
        """Add a header field to what is forwarded. ValueError for a value with a line end, or a field that is the proxy's business."""
        _must_be_free(name)
        self.message.append(name, value)

    def remove_header(self, name: str) -> int:
        """Take every header field of this name out of what is forwarded; how many there were. ValueError as for `append_header`."""
        _must_be_free(name)
        return self.message.remove(name)

    def is_myself(self, uri: str | None = None) -> bool:
        """True when the host and port of a SIP URI, by default the Request-URI, name this proxy: Kamailio's ``uri == myself``."""
        try:
            parsed = SipUri.parse(self.request_uri if uri is None else uri)
        except ParseError:
            return False
        return self._receiver.outbound.is_myself(bare(parsed.host).lower(), parsed.port)

    def pv(self, name: str) -> str | int | None:
        """The value of a pseudo-variable such as ``$fU``, as Kamailio has it; None for $null. PseudoVariableError when unknown."""
        return pv.compile_name(name).get(self)

    def expand(self, text: str) -> str:
        """The text with its pseudo-variables replaced by their values, ``<null>`` where there is none."""
        return str(pv.compile_text(text).get(self))

    def reply(
        self,
        status_code: int,
        reason: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | str = b"",
    ) -> None:
        """Answer statelessly: To gets a tag, header fields and a body are added. An ACK takes no answer, so none is sent.

        Raises RequestError when a final answer was sent already, or the request was forwarded; ValueError for a status code
        outside 100 to 699, a line end in the reason or a header field, or a field that the proxy itself writes.
        """
        if self.is_decided:
            self._must_be_open()
        line = _OK if status_code == 200 and reason in (None, "OK") else status_line(status_code, reason)
        receiver, message = self._receiver, self.message
        fields = (*receiver.reply_fields, *_lines(headers)) if headers else receiver.reply_fields
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogateescape")
        if self.method == "ACK":
            self.is_decided = self.is_decided or status_code >= 200
            return
        to_tag = receiver.to_tag(message) if status_code > 100 else b""
        with_record_route = 100 < status_code < 300 and b"record-route" in message.shape.at
        data = response(message, line, to_tag, fields, body, with_record_route)
        if status_code >= 200:
            self.is_decided = True
        receiver.counters.replies[status_code] += 1
        self.transport.send(data, self._reply_to)

    def forward(self, to: str | None = None) -> None:
        """Send the request on statelessly (RFC 3261 section 16.11); its responses find their way back by Via.

        to: a SIP URI, or ``host:port``. Without it the request goes where its Route, else its Request-URI says. A Route that
        names this proxy is taken away, Max-Forwards counted. What cannot be sent on is answered: 420 for a Proxy-Require, 482 when it
        goes round, 483 when Max-Forwards is used up, 503 where the hop cannot be found.
        Raises RequestError when the request was decided already, ValueError when `to` is no SIP URI.
        """
        self._must_be_open()
        self._receiver.forward(self, to)
        self.is_decided = True

    def refuse(self, status_code: int, headers: Mapping[str, str]) -> None:
        """Answer a request that could not be forwarded after all, which `reply` would not do."""
        self.is_decided = False
        self.reply(status_code, headers=headers)

    def _must_be_open(self) -> None:
        if self.is_decided:
            raise RequestError(f"{self!r} was answered, forwarded or dropped already")

    def drop(self) -> None:
        """Let the request go without an answer; it is counted."""
        if not self.is_decided:
            self.is_decided = True
            self._receiver.counters.drops["dropped by route"] += 1


def _lines(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[bytes]:
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    for name, _ in pairs:
        _must_be_free(name)
    return [sip.header_line(name, value) for name, value in pairs]


def _must_be_free(name: str) -> None:
    """Via, From, To, Call-ID, CSeq and Content-Length make the message what it is: no route adds or removes them."""
    try:
        reserved = canonical(name.encode()) in _RESERVED
    except ParseError:
        return  # no name at all: told by whoever uses it
    if reserved:
        raise ValueError(f"{name} is written by the proxy itself; leave it out")
