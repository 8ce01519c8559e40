"""Where messages leave: which transport takes them, which addresses are this proxy's own, and names looked up."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from time import monotonic

from proxy.seldom import warn_seldom
from proxy.sip.via import Address, Via, default_port
from proxy.transport.base import Failed, Transport, family_of, is_numeric, is_unicast
from proxy.transport.stream import StreamConnection, StreamListener

log = logging.getLogger("mqproxy.outbound")

Send = Callable[[Transport, Address], None]

_NAMES_KEPT = 1000  # host names whose addresses are remembered
_LOOK_UPS = 1000  # names that are looked up at one time
_LONGEST_NAME = 253  # characters of a host name (RFC 1035 section 2.3.4)
_NAME_TTL = 30.0  # seconds; the resolver of the system does not tell the real one
_LOOK_UP_TIMEOUT = 5.0  # seconds


class Outbound:
    """The transports of one proxy."""

    def __init__(self, transports: Sequence[Transport], aliases: frozenset[tuple[str, int | None]] = frozenset()) -> None:
        self._transports = transports
        self._aliases = aliases
        self._resolved: dict[str, tuple[float, list[str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def is_myself(self, host: str, port: int | None) -> bool:
        """True when a URI with this host (lower case, no brackets) and port names this proxy, as Kamailio's uri==myself."""
        if (host, port) in self._aliases or (host, None) in self._aliases:
            return True
        return any(transport.is_here(host, port or default_port(transport.protocol)) for transport in self._transports)

    def is_ours(self, via: Via) -> bool:
        """True when this proxy wrote the Via."""
        return self.is_myself(*via.sent_by)

    def connection(self, connection_id: str | None) -> StreamConnection | None:
        """The open stream connection with this id."""
        if not connection_id:
            return None
        listeners = (transport for transport in self._transports if isinstance(transport, StreamListener))
        return next((found for listener in listeners if (found := listener.connections.get(connection_id))), None)

    def deliver(self, protocol: str, host: str, port: int | None, send: Send, failed: Failed, via: Transport | None = None) -> None:
        """Call `send` with the transport and the address that lead to `host`, now or when its name is looked up.

        failed: called with the reason when there is no way. via: the transport to prefer, where the choice is free.
        """
        if is_numeric(host):
            self._deliver_to(protocol, [host], port, send, failed, via)
            return
        if len(host) > _LONGEST_NAME:
            failed(f"a host name has {_LONGEST_NAME} characters at most")
            return
        known = self._resolved.get(host)
        if known is not None and known[0] > monotonic():
            self._deliver_to(protocol, known[1], port, send, failed, via)
            return
        if len(self._tasks) >= _LOOK_UPS:
            failed("too many names are being looked up")
            return
        task = asyncio.ensure_future(self._look_up(protocol, host, port, send, failed, via))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up the look-ups that are under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _deliver_to(self, protocol: str, hosts: list[str], port: int | None, send: Send, failed: Failed, via: Transport | None) -> None:
        for host in hosts:
            transport = self._transport(protocol, host, via)
            if transport is not None and is_unicast(host):
                send(transport, (host, port or default_port(protocol)))
                return
        failed(f"no {protocol} listener leads to {', '.join(hosts)}" if hosts else "the name has no address")

    def _transport(self, protocol: str, host: str, preferred: Transport | None) -> Transport | None:
        family = family_of(host)
        fitting = [t for t in self._transports if t.protocol == protocol and family_of(t.local[0]) == family]
        same_socket = [t for t in fitting if preferred is not None and t.local == preferred.local]
        return next(iter(same_socket or fitting), None)

    async def _look_up(self, protocol: str, host: str, port: int | None, send: Send, failed: Failed, via: Transport | None) -> None:
        try:
            async with asyncio.timeout(_LOOK_UP_TIMEOUT):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
            hosts = [str(entry[4][0]) for entry in found]
        except (OSError, UnicodeError) as error:  # no such name, no name at all, or (TimeoutError) no answer
            warn_seldom(log, "cannot look up %s: %s", host, error or "no answer")
            hosts = []
        if len(self._resolved) >= _NAMES_KEPT:
            self._resolved.clear()
        self._resolved[host] = (monotonic() + _NAME_TTL, hosts)
        self._deliver_to(protocol, hosts, port, send, failed, via)
