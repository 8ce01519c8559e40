"""The way of one message: from its bytes through the checks to a route, or back along its Via."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping

from proxy.counters import Counters
from proxy.outbound import Outbound
from proxy.request import Request
from proxy.router import Router
from proxy.seldom import warn_seldom
from proxy.sip import message as sip
from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.forwarding import NextHop, count_hop, next_hop, pop_own_route, pop_via, push_via, stateless_branch, unsupported_extensions
from proxy.sip.framing import parse_message
from proxy.sip.replying import rejection, status_line
from proxy.sip.uri import SipUri
from proxy.sip.validation import check_request, check_response, top_via_of
from proxy.sip.via import Address, Via
from proxy.transport.base import Transport, is_unicast
from proxy.version import VERSION

log = logging.getLogger("mqproxy")

_SERVER = (f"Server: mqproxy/{VERSION}".encode(),)
_HASH_BITS = (1 << 64) - 1


class Receiver:
    """Takes messages from the transports. Whatever comes, it does not raise."""

    def __init__(self, router: Router, counters: Counters) -> None:
        self.counters = counters
        self.reply_fields: tuple[bytes, ...] = _SERVER
        self.outbound = Outbound(())
        self._router = router
        self._tag_prefix = secrets.token_hex(4).encode()

    def receive(self, data: bytes, source: Address, transport: Transport) -> None:
        """Take one datagram, or one message of a stream."""
        self.counters.received += 1
        message = None
        try:
            message = parse_message(data)
            if isinstance(message, sip.Request):
                self._request(message, data, source, transport)
            else:
                self._response(message)
        except ParseError as error:
            if data.strip(b"\r\n\0"):
                error.message = error.message or message
                self.receive_broken(error, source, transport)
            else:
                self.counters.drops["keep-alive"] += 1
        except Exception:  # the fence around one message: the next one is answered
            self.counters.drops["internal error"] += 1
            log.exception("message from %s:%s dropped", *source)

    def receive_broken(self, error: ParseError, source: Address, transport: Transport) -> None:
        """Answer what breaks the rules, where it can be answered; else count it."""
        self.counters.parse_errors[error.reason] += 1
        level = logging.WARNING if self.counters.parse_errors[error.reason] == 1 else logging.DEBUG
        log.log(level, "broken message from %s:%s: %s (told once for each kind, the others are counted)", *source, error.reason)
        message = error.message
        is_request = message is not None and message.start_line[:4].upper() != b"SIP/" and message.start_line[:4] != b"ACK "
        reply_to = top_via_of(message, source) if message is not None and is_request else None
        if message is None or reply_to is None:
            self.counters.drops["broken message"] += 1
            return
        line = status_line(error.status_code, error.reason)
        self.counters.replies[error.status_code] += 1
        transport.send(rejection(message, line, self.to_tag(message), self.reply_fields), _sendable(reply_to, source))

    def to_tag(self, request: sip.Message) -> bytes:
        """The tag for To: the same for a retransmission (RFC 3261 section 8.2.7), unguessable, and known as ours."""
        at, lines = request.shape.at, request.lines
        key = hash((lines[at[b"via"]], lines[at.get(b"call-id", 0)], lines[at.get(b"from", 0)]))
        return b"%b.%016x" % (self._tag_prefix, key & _HASH_BITS)

    def forward(self, request: Request, to: str | None) -> None:
        """See Request.forward."""
        target = _target(to)
        message = request.message.copy()
        try:
            if not count_hop(message):
                self._refuse(request, 483, "Max-Forwards is used up")
                return
            if unsupported := unsupported_extensions(message):
                tags = ", ".join(unsupported)
                self._refuse(request, 420, f"Proxy-Require: {tags}", {"Unsupported": tags})
                return
            while pop_own_route(message, self.outbound.is_myself):
                pass  # a double Record-Route of ours comes back as two Routes
            hop = next_hop(message, target)
        except ParseError as error:
            self._refuse(request, error.status_code, error.reason)
            return
        self._send_request(request, message, hop)

    def _send_request(self, request: Request, message: sip.Request, hop: NextHop) -> None:
        came_by = Via.parse(message.values(b"via")[0])
        branch = stateless_branch(message, came_by)
        # Responses of a request that came over a stream go back over it: our Via says which, as Kamailio's does.
        connection = f";i={request.transport.connection_id}" if request.transport.connection_id else ""

        def send(transport: Transport, address: Address) -> None:
            if transport.is_here(*address) and self.outbound.is_ours(came_by):
                self._refuse(request, 482, "it came from this proxy, and would come back to it")
                return
            push_via(message, f"SIP/2.0/{transport.protocol} {transport.sent_by(address[0])};branch={branch}{connection}")
            self.counters.forwarded += 1
            transport.send(bytes(message), address, failed)

        def failed(reason: str) -> None:
            warn_seldom(log, "cannot forward %s to %.253s: %s", request.method, hop.host, reason)
            self._refuse(request, 503, reason)

        self.outbound.deliver(hop.protocol, hop.host, hop.port, send, failed, request.transport)

    def _refuse(self, request: Request, status_code: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        if request.method == "ACK":
            self.counters.drops["ack not forwarded"] += 1
        log.debug("%s not forwarded: %s", request.method, reason)
        request.refuse(status_code, headers or {})

    def _request(self, message: sip.Request, data: bytes, source: Address, transport: Transport) -> None:
        reply_to = check_request(message, source)
        if reply_to[0] != source[0]:
            reply_to = _sendable(reply_to, source)
        self.counters.requests += 1
        if message.method == "ACK" and (message.to.tag or "").startswith(self._tag_prefix.decode()):
            self.counters.drops["ack of our own answer"] += 1
            return
        self._router.run(Request(message, data, source, transport, reply_to, self))

    def _response(self, message: sip.Response) -> None:
        via = check_response(message)
        self.counters.responses += 1
        if not self.outbound.is_ours(via):
            self.counters.drops["response not for this proxy"] += 1
            return
        below = pop_via(message)
        if below is None:
            self.counters.drops["response to nobody"] += 1
            return
        data = bytes(message)

        def send(transport: Transport, address: Address) -> None:
            self.counters.forwarded += 1
            transport.send(data, address)

        def failed(reason: str) -> None:
            self.counters.drops["response without a way"] += 1
            log.info("response to %s:%s dropped: %s", *below.reply_to, reason)

        connection = self.outbound.connection(via.param("i"))
        if connection is not None:
            send(connection, connection.peer)
        else:
            self.outbound.deliver(below.protocol, *below.reply_to, send, failed)


def _sendable(reply_to: Address, source: Address) -> Address:
    """Where Via says the answer goes, unless that is no place of one peer (a name, a broadcast address): then the source."""
    return reply_to if is_unicast(reply_to[0]) else source


def _target(to: str | None) -> SipUri | None:
    if to is None:
        return None
    text = to if to[:4].lower() == "sip:" or to[:5].lower() == "sips:" else f"sip:{to}"
    try:
        return NameAddr.parse(f"<{text}>").sip_uri
    except ParseError as error:
        raise ValueError(f"forward to {to!r}: {error.reason}; write sip:HOST:PORT;transport=udp, or HOST:PORT") from None
