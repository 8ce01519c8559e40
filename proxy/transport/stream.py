"""TCP: a listener, its connections, and the connections that it opens to send (RFC 3261 section 18)."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextvars import Context
from itertools import count
from typing import cast

from proxy.counters import Counters
from proxy.seldom import warn_seldom
from proxy.sip.errors import FramingError
from proxy.sip.framing import PONG, StreamFramer
from proxy.sip.via import Address
from proxy.transport.base import Endpoint, Failed, Receive, ReceiveBroken, bound_socket

log = logging.getLogger("mqproxy.tcp")

_MOST_CONNECTIONS = 10_000  # accepted and opened ones together
_WRITE_LIMIT = 1 << 20  # octets that may wait for a peer that does not read
_WAITING_LIMIT = 100  # messages that may wait for a connection to come up
_CONNECT_TIMEOUT = 5.0  # seconds

_ids = count(1)  # of all listeners together: a connection is found by its id alone


_Waiting = tuple[bytes, Failed | None]  # a message, and whom to tell when it cannot be sent


class StreamListener(Endpoint):
    """A TCP address that connections come to, and that sends by connecting where no connection is open."""

    protocol = "TCP"
    connection_id = ""

    def __init__(
        self, address: Address, advertised: Address | None, receive: Receive, receive_broken: ReceiveBroken, counters: Counters
    ) -> None:
        """Bind to a numeric address; OSError when it is taken or not ours."""
        self._socket = bound_socket(socket.SOCK_STREAM, address)
        super().__init__(self._socket.getsockname()[:2], advertised)
        self.receive = receive
        self.receive_broken = receive_broken
        self.counters = counters
        self.connections: dict[str, StreamConnection] = {}
        self._by_peer: dict[Address, StreamConnection] = {}
        self._connecting: dict[Address, tuple[asyncio.Task[None], list[_Waiting]]] = {}
        self._server: asyncio.Server | None = None

    async def start_receiving(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: StreamConnection(self), sock=self._socket, backlog=1024)

    def send(self, data: bytes, to: Address, failed: Failed | None = None) -> None:
        """Send over the open connection to this address, or open one."""
        connection = self._by_peer.get(to)
        if connection is not None:
            connection.send(data, to, failed)
        elif to in self._connecting:
            self._wait(data, to, failed)
        elif len(self.connections) + len(self._connecting) >= _MOST_CONNECTIONS:
            self.counters.drops["too many tcp connections"] += 1
        else:
            # A context of its own: the connection outlives the request that it is opened for, whose Call-ID is in this one.
            task = asyncio.get_running_loop().create_task(self._connect(to), context=Context())
            self._connecting[to] = task, [(data, failed)]

    def admit(self, connection: StreamConnection) -> str | None:
        """Enter a new connection; its id, or None when there are too many."""
        if len(self.connections) >= _MOST_CONNECTIONS:
            return None
        connection_id = f"{self.local[1]:x}.{next(_ids):x}"
        self.connections[connection_id] = self._by_peer[connection.peer] = connection
        return connection_id

    def forget(self, connection: StreamConnection) -> None:
        """Strike out a connection that has ended."""
        self.connections.pop(connection.connection_id, None)
        if self._by_peer.get(connection.peer) is connection:
            del self._by_peer[connection.peer]

    def stop_receiving(self) -> None:
        """Accept no more connections and read no more from the open ones."""
        if self._server is not None:
            self._server.close()
        for connection in self.connections.values():
            connection.pause_reading()

    def close(self) -> None:
        """Close every connection once what waits on it is sent; what waits for one that is not up yet is counted as dropped."""
        self.stop_receiving()
        self._socket.close()
        for task, waiting in self._connecting.values():
            task.cancel()
            self.counters.drops["tcp connection not up yet"] += len(waiting)
        for connection in list(self.connections.values()):
            connection.close()

    def _wait(self, data: bytes, to: Address, failed: Failed | None) -> None:
        waiting = self._connecting[to][1]
        if len(waiting) < _WAITING_LIMIT:
            waiting.append((data, failed))
        else:
            self.counters.drops["tcp connection not up yet"] += 1

    async def _connect(self, to: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                _, connection = await loop.create_connection(lambda: StreamConnection(self), *to)
        except OSError as error:  # TimeoutError is one
            waiting = self._connecting.pop(to)[1]
            self.counters.drops["tcp connect failed"] += len(waiting)
            reason = f"cannot connect to tcp:{to[0]}:{to[1]}: {error.strerror or error or 'no answer'}"
            warn_seldom(log, "%s", reason)
            for _, failed in waiting:
                if failed is not None:
                    failed(reason)
            return
        for data, failed in self._connecting.pop(to)[1]:
            connection.send(data, to, failed)


class StreamConnection(asyncio.Protocol):
    """One TCP connection, accepted or opened."""

    protocol = "TCP"

    def __init__(self, listener: StreamListener) -> None:
        self.local = listener.local
        self.peer: Address = ("", 0)
        self.connection_id = ""
        self._listener = listener
        self._framer = StreamFramer()
        self._transport: asyncio.Transport

    def sent_by(self, to: str) -> str:
        """See Transport."""
        return self._listener.sent_by(to)

    def is_here(self, host: str, port: int) -> bool:
        """See Transport."""
        return self._listener.is_here(host, port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio calls this when the connection is up."""
        self._transport = cast(asyncio.Transport, transport)
        self.peer = (transport.get_extra_info("peername") or ("", 0))[:2]  # None when the peer is gone already
        connection_id = self._listener.admit(self)
        if connection_id is None:
            self._listener.counters.drops["too many tcp connections"] += 1
            self._transport.abort()
        else:
            self.connection_id = connection_id

    def data_received(self, data: bytes) -> None:
        """Asyncio calls this with what was read."""
        framer = self._framer
        framer.receive_data(data)
        try:
            while not self._transport.is_closing() and (message := framer.next_message()) is not None:
                self._listener.receive(message, self.peer, self)
        except FramingError as error:
            self._listener.receive_broken(error, self.peer, self)
            self._transport.close()
        if framer.pings and not self._transport.is_closing():
            pongs, framer.pings = PONG * framer.pings, 0
            self.send(pongs, self.peer)

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio calls this when the connection has ended."""
        self._listener.forget(self)
        if self._framer.buffered:
            self._listener.counters.drops["tcp connection closed in a message"] += 1

    def send(self, data: bytes, to: Address, failed: Failed | None = None) -> None:
        """Send one message; a peer that does not read loses its connection."""
        if self._transport.is_closing():
            self._listener.forget(self)
            self._listener.send(data, to, failed)
        elif self._transport.get_write_buffer_size() + len(data) > _WRITE_LIMIT:
            self._listener.counters.drops["tcp peer does not read"] += 1
            warn_seldom(log, "tcp:%s:%s does not read: connection closed", *self.peer)
            self._transport.abort()
        else:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Read no more."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def close(self) -> None:
        """Close once everything is sent."""
        self._transport.close()
