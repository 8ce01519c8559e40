"""A proxy in this process with one of the routes that the project ships, and small peers to talk to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mqueue
from proxy.config import Config, Listen
from proxy.server import Server

ROUTES = Path(__file__).parents[2] / "routes"
PATIENCE = 20.0  # seconds until a test that hangs is given up


@asynccontextmanager
async def running(route: str, stop_timeout: float = 5.0) -> AsyncIterator[Server]:
    """The proxy with routes/`route` on a free UDP port; what it keeps lands in the working directory."""
    mqueue.queues.clear()
    server = Server(Config(ROUTES / route, (Listen.parse("udp:127.0.0.1:0"),), stop_timeout=stop_timeout))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        mqueue.queues.clear()


class Phone(asyncio.DatagramProtocol):
    """A UDP peer: `sent` counts its requests, `answers` has what came to it."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = 0

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        self.answers.put_nowait(data)

    @classmethod
    async def connect(cls, server: Server) -> Phone:
        loop = asyncio.get_running_loop()
        transport, phone = await loop.create_datagram_endpoint(cls, remote_addr=server.listeners[0].local)
        phone.transport, phone.port = transport, transport.get_extra_info("sockname")[1]
        return phone

    transport: asyncio.DatagramTransport
    port: int

    def send(self, method: str, uri: str = "sip:bob@127.0.0.1", body: str = "", to_tag: str = "") -> str:
        """Send a request; its Call-ID."""
        self.sent += 1
        call_id = f"{self.sent}@{self.port}"
        self.transport.sendto(
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{self.sent}\r\n"
            f"From: <sip:alice@example.com>;tag=1\r\nTo: <{uri}>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n"
            f"Max-Forwards: 70\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode()
        )
        return call_id

    async def answer(self) -> str:
        """The next message that came, as text."""
        return (await asyncio.wait_for(self.answers.get(), PATIENCE)).decode()

    async def ask(self, method: str, uri: str = "sip:bob@127.0.0.1", body: str = "") -> str:
        """Send a request and return the start line of what comes back."""
        self.send(method, uri, body)
        return (await self.answer()).partition("\r\n")[0]


@contextmanager
def web_server(answer: Callable[[bytes], int]) -> Iterator[str]:
    """An HTTP server whose POSTs are answered with the status that `answer` gives for their body; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answer(body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; TimeoutError when it never does."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an async test."""

    async def main() -> None:
        await test()

    asyncio.run(main())
