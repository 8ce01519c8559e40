"""UDP: one non-blocking socket, drained by a reader of the event loop.

Several datagrams are taken at each wake-up, and what they are answered leaves together after the last: a peer that sleeps is
woken once. Both cost as little with asyncio's own loop as with uvloop (docs/decisions/0002-udp-reader.md).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from pathlib import Path

from proxy.counters import Counters
from proxy.seldom import warn_seldom
from proxy.sip.via import Address
from proxy.transport.base import Endpoint, Failed, Receive, bound_socket

log = logging.getLogger("mqproxy.udp")

_LARGEST = 65535  # octets of a datagram
_PER_WAKE_UP = 64  # datagrams taken before the loop looks at anything else
_RECEIVE_BUFFER = 4 << 20  # octets asked of the kernel, which gives what net.core.rmem_max allows
_BACKLOG = 1000  # datagrams that wait for a full socket buffer


class UdpListener(Endpoint):
    """A UDP socket that messages come to and leave from."""

    protocol = "UDP"
    connection_id = ""

    def __init__(self, address: Address, advertised: Address | None, receive: Receive, counters: Counters) -> None:
        """Bind to a numeric address; OSError when it is taken or not ours."""
        self._socket = bound_socket(socket.SOCK_DGRAM, address)
        super().__init__(self._socket.getsockname()[:2], advertised)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._receive = receive
        self._counters = counters
        self._outgoing: deque[tuple[bytes, Address]] = deque()
        self._buffer = memoryview(bytearray(_LARGEST))  # one for all: to allocate 64 KiB for each datagram costs as much as to read it
        self._receiving = False
        self._is_full = False  # of what is sent: the kernel takes no more for the moment
        self._loop = asyncio.get_running_loop()

    async def start_receiving(self) -> None:
        """Take datagrams from now on."""
        self._loop.add_reader(self._socket, self._readable)

    def send(self, data: bytes, to: Address, failed: Failed | None = None) -> None:
        """Send a datagram: at once, with the others of this wake-up, or as soon as the socket has room for it."""
        outgoing = self._outgoing
        if len(outgoing) >= _BACKLOG:
            self._counters.drops["udp send buffer full"] += 1
            return
        outgoing.append((data, to))
        if not (self._receiving or self._is_full):
            self._flush()

    def kernel_drops(self) -> int:
        """Datagrams that the kernel threw away since the socket was made, as its buffer was full (Linux; else 0)."""
        table = Path("/proc/net/udp6" if self._socket.family == socket.AF_INET6 else "/proc/net/udp")
        if not table.exists():
            return 0
        inode = str(self._inode)
        rows = (line.split() for line in table.read_text().splitlines()[1:])
        return next((int(row[12]) for row in rows if row[9] == inode), 0)

    @property
    def _inode(self) -> int:
        return Path(f"/proc/self/fd/{self._socket.fileno()}").stat().st_ino

    def stop_receiving(self) -> None:
        """Take no more datagrams; what is to be sent still goes out."""
        self._loop.remove_reader(self._socket)

    def close(self) -> None:
        """Close the socket; datagrams that still wait are counted as dropped."""
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._counters.drops["udp send buffer full"] += len(self._outgoing)
        self._socket.close()

    def _readable(self) -> None:
        recvfrom_into, buffer, receive = self._socket.recvfrom_into, self._buffer, self._receive
        self._receiving = True
        for _ in range(_PER_WAKE_UP):
            try:
                length, source = recvfrom_into(buffer)
            except BlockingIOError:
                break
            except OSError as error:  # an ICMP error of an earlier send
                log.debug("receive on %s: %s", self.local, error)
                continue
            receive(buffer[:length].tobytes(), source if len(source) == 2 else source[:2], self)
        self._receiving = False
        if self._outgoing and not self._is_full:
            self._flush()

    def _flush(self) -> None:
        outgoing, sendto = self._outgoing, self._socket.sendto
        while outgoing:
            data, to = outgoing.popleft()
            try:
                sendto(data, to)
            except BlockingIOError:
                outgoing.appendleft((data, to))
                if not self._is_full:
                    self._is_full = True
                    self._loop.add_writer(self._socket, self._flush)
                return
            except OSError as error:
                self._failed(error, to)
        if self._is_full:
            self._is_full = False
            self._loop.remove_writer(self._socket)

    def _failed(self, error: OSError, to: Address) -> None:
        self._counters.drops["udp send failed"] += 1
        warn_seldom(log, "cannot send from udp:%s:%s to %s:%s: %s", *self.local, *to, error.strerror or error)
