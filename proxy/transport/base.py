"""What every transport offers, and what it asks for."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from proxy.sip.errors import ParseError
from proxy.sip.via import Address, bracketed

_LONGEST_ADDRESS = 64  # characters, zone included; longer text comes from strangers, and is not to fill the caches below


Failed = Callable[[str], None]


class Transport(Protocol):
    """A way to send: a UDP socket, a stream listener (which connects), or one connection.

    protocol: as in Via, in upper case. local: host and port it is bound to. connection_id: that of a stream connection, else "".
    """

    protocol: str
    local: Address
    connection_id: str

    def send(self, data: bytes, to: Address, failed: Failed | None = None) -> None:
        """Send one message to a numeric address. What cannot be sent is counted and logged, never raised.

        failed: called with the reason where no connection could be made for it.
        """

    def sent_by(self, to: str) -> str:
        """``host:port`` of this transport as a peer at address `to` sees it, for a Via."""

    def is_here(self, host: str, port: int) -> bool:
        """True when `host` (lower case, no brackets) and `port` are this transport's own, bound or advertised."""


Receive = Callable[[bytes, Address, Transport], None]  # message, source, where it arrived
ReceiveBroken = Callable[[ParseError, Address, Transport], None]


class Endpoint:
    """The bound address of a listener, and what it is called in a Via."""

    def __init__(self, local: Address, advertised: Address | None) -> None:
        self.local = local
        # Port 0 stands for the one that was bound.
        self._advertised = (advertised[0], advertised[1] or local[1]) if advertised else None
        self._own = {(host.lower(), port) for host, port in filter(None, (local, self._advertised))}
        self._wildcard = ipaddress.ip_address(local[0].partition("%")[0]).is_unspecified

    def sent_by(self, to: str) -> str:
        """See Transport."""
        host, port = self._advertised or self.local
        if self._wildcard and self._advertised is None:
            host = address_towards(to)
        return f"{bracketed(host)}:{port}"

    def is_here(self, host: str, port: int) -> bool:
        """See Transport."""
        return (host, port) in self._own or (self._wildcard and port == self.local[1] and is_numeric(host) and is_local(host))


def bound_socket(kind: socket.SocketKind, address: Address) -> socket.socket:
    """A non-blocking socket bound to a numeric address, which for a stream listens; OSError when it is taken or not ours."""
    sock = socket.socket(family_of(address[0]), kind)
    try:
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            sock.listen(1024)  # here, since SO_REUSEADDR lets two sockets bind and only the first listen
    except OSError:
        sock.close()
        raise
    return sock


def family_of(host: str) -> socket.AddressFamily:
    """The address family of a numeric host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@lru_cache(maxsize=4096)
def address_towards(host: str) -> str:
    """The address of this machine that packets to the numeric `host` leave from; no packet is sent to find out."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return "::1" if ":" in host else "127.0.0.1"
        return str(probe.getsockname()[0])


@lru_cache(maxsize=4096)
def is_local(host: str) -> bool:
    """True when the numeric `host` is an address of this machine."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True


def is_numeric(host: str) -> bool:
    """True for an IPv4 or IPv6 address in text, False for a name."""
    return len(host) <= _LONGEST_ADDRESS and _is_numeric(host)


def is_unicast(host: str) -> bool:
    """True for a numeric address that one peer has: no broadcast, multicast, unspecified or reserved one, and no name."""
    return is_numeric(host) and _is_unicast(host)


@lru_cache(maxsize=4096)
def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_unicast(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    return not (address.is_multicast or address.is_unspecified or (address.version == 4 and address.is_reserved))
