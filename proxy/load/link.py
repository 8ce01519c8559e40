"""Where the built-in sender's requests leave and their answers arrive: one UDP socket, or one TCP connection."""

from __future__ import annotations

import asyncio
import re
from typing import cast

from proxy.errors import LoadError
from proxy.load.job import Job
from proxy.sip.errors import ParseError
from proxy.sip.framing import StreamFramer
from proxy.sip.via import Address

_ANSWER = re.compile(rb"SIP/2\.0 ([2-6]\d\d) .*?^(?:call-id|i)[ \t]*:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE | re.DOTALL)


class Link:
    """What both kinds share: who waits for which Call-ID."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, asyncio.Future[int]] = {}
        self.is_lost = False

    def expect(self, call_id: bytes) -> asyncio.Future[int]:
        """The future with the status code of the final response to this Call-ID; ConnectionError when the connection is lost."""
        self._waiting[call_id] = answer = asyncio.get_running_loop().create_future()
        if self.is_lost:
            answer.set_exception(ConnectionError("connection closed"))
        return answer

    def forget(self, call_id: bytes) -> None:
        """No answer to this Call-ID is waited for any more."""
        del self._waiting[call_id]

    def send(self, data: bytes) -> None:
        """Send one request."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the socket."""
        raise NotImplementedError

    def answered(self, data: bytes) -> None:
        """Take one response; provisional ones are left out."""
        match = _ANSWER.match(data)
        answer = self._waiting.get(match[2]) if match else None
        if match and answer and not answer.done():
            answer.set_result(int(match[1]))

    def lost(self) -> None:
        """Nothing more comes for those who wait."""
        self.is_lost = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError("connection closed"))


class _Datagrams(Link, asyncio.DatagramProtocol):
    _transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.answered(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody is there yet: the retransmission may find somebody."""

    def send(self, data: bytes) -> None:
        self._transport.sendto(data)

    def close(self) -> None:
        self._transport.close()


class _Stream(Link, asyncio.Protocol):
    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._framer = StreamFramer()

    def data_received(self, data: bytes) -> None:
        try:
            self._framer.receive_data(data)
            while (message := self._framer.next_message()) is not None:
                self.answered(message)
        except ParseError:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost()

    def send(self, data: bytes) -> None:
        if not self.is_lost:
            self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


async def open_link(job: Job, local: Address, timeout: float) -> Link:
    """A link from `local` to the target of the job; LoadError when it is refused, or not there within `timeout` seconds."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            if job.protocol == "udp":
                return (await loop.create_datagram_endpoint(_Datagrams, local_addr=local, remote_addr=job.target))[1]
            return (await loop.create_connection(_Stream, *job.target, local_addr=local))[1]
    except (OSError, TimeoutError) as error:
        raise LoadError(f"no connection to {job.destination} ({error or 'timeout'}): start a proxy there, mqproxy run FILE") from None
