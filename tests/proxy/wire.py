"""A transport in memory and a proxy around it: bytes in, bytes out, no socket."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

from proxy.counters import Counters
from proxy.outbound import Outbound
from proxy.receiver import Receiver
from proxy.request import Request
from proxy.router import Router
from proxy.script import RouteCallback, RouteFunction, Script, Where
from proxy.sip.via import Address
from proxy.transport.base import Failed, Transport

LOCAL = ("192.0.2.254", 5060)
SOURCE = ("198.51.100.7", 40000)
NEXT_HOP = ("203.0.113.9", 5070)

MESSAGE = (
    b"MESSAGE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
    b"Max-Forwards: 70\r\n"
    b"From: <sip:alice@example.com>;tag=f1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: c1@198.51.100.7\r\n"
    b"CSeq: 1 MESSAGE\r\n"
    b"Content-Length: 2\r\n"
    b"\r\n"
    b"hi"
)


class Wire:
    """A transport that keeps what it is given to send."""

    def __init__(self, protocol: str = "UDP", local: Address = LOCAL, connection_id: str = "") -> None:
        self.protocol = protocol
        self.local = local
        self.connection_id = connection_id
        self.sent: list[tuple[bytes, Address]] = []

    def send(self, data: bytes, to: Address, failed: Failed | None = None) -> None:
        self.sent.append((data, to))

    def sent_by(self, to: str) -> str:
        return f"{self.local[0]}:{self.local[1]}"

    def is_here(self, host: str, port: int) -> bool:
        return (host, port) == self.local


class Proxy:
    """A receiver with one route for everything. `seen` are the requests that reached the route."""

    def __init__(
        self,
        route: RouteFunction | None = None,
        *,
        wire: Wire | None = None,
        transports: Sequence[Transport] = (),
        aliases: frozenset[tuple[str, int | None]] = frozenset(),
    ) -> None:
        self.wire = wire or Wire()
        self.seen: list[Request] = []
        self.counters = Counters()
        self.script = Script()
        if route is not None:
            self.script.default_route = callback_of(self._watched(route))
        self.router = Router(self.script, self.counters)
        self.receiver = Receiver(self.router, self.counters)
        self.receiver.outbound = Outbound([self.wire, *transports], aliases)

    def receive(self, data: bytes, source: Address = SOURCE) -> list[bytes]:
        """What the proxy sends on `wire` because of this message."""
        before = len(self.wire.sent)
        self.receiver.receive(data, source, self.wire)
        return [sent for sent, _ in self.wire.sent[before:]]

    @property
    def destination(self) -> Address:
        """Where the latest message went."""
        return self.wire.sent[-1][1]

    @property
    def dropped(self) -> dict[str, int]:
        return {reason: count for reason, count in self.counters.drops.items() if count}

    def _watched(self, route: RouteFunction) -> RouteFunction:
        if inspect.iscoroutinefunction(route):

            async def watch_async(request: Request) -> None:
                self.seen.append(request)
                await route(request)

            return watch_async

        def watch(request: Request) -> None:
            self.seen.append(request)
            route(request)

        return watch


def callback_of(function: RouteFunction, name: str = "route", methods: tuple[str, ...] = ()) -> RouteCallback:
    return RouteCallback(name, function, methods, Where("routes.py", 1), inspect.iscoroutinefunction(function))


def reply_ok(request: Request) -> None:
    request.reply(200)


def forward_on(request: Request) -> None:
    request.forward(f"{NEXT_HOP[0]}:{NEXT_HOP[1]}")


def edited(message: bytes, *edits: tuple[bytes, bytes]) -> bytes:
    """The message with each first text replaced by the second; a text that is not there is a mistake of the test."""
    for old, new in edits:
        assert old in message, old
        message = message.replace(old, new, 1)
    return message


def header_lines(message: bytes) -> list[bytes]:
    """The header fields as they stand, folds inside, without start line and body: split without any code of the proxy."""
    head = message.partition(b"\r\n\r\n")[0]
    return re.split(rb"\r\n(?![ \t])", head)[1:]


def header(message: bytes, name: str) -> list[str]:
    """The values of the fields of this name in this spelling, in any case."""
    prefix = name.lower().encode() + b":"
    return [line[len(prefix) :].strip().decode() for line in header_lines(message) if line.lower().startswith(prefix)]


def start_line(message: bytes) -> str:
    return message.partition(b"\r\n")[0].decode()


def body_of(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2]


def request_of(data: bytes = MESSAGE, proxy: Proxy | None = None) -> Request:
    """The Request that a route would be given for these bytes."""
    kept: list[Any] = []
    proxy = proxy or Proxy()
    proxy.script.default_route = callback_of(lambda request: kept.append(request))
    proxy.receive(data)
    assert kept, proxy.wire.sent
    request: Request = kept[0]
    return request
