"""UDP and TCP over real sockets of the loopback, IPv4 and IPv6."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from contextvars import ContextVar
from pathlib import Path

import pytest

from proxy.counters import Counters
from proxy.outbound import Outbound
from proxy.receiver import Receiver
from proxy.request import Request
from proxy.router import Router
from proxy.script import RouteFunction, Script
from proxy.sip.framing import StreamFramer
from proxy.sip.via import Address, bracketed
from proxy.transport import stream, udp
from proxy.transport.base import Endpoint, Transport, is_local, is_numeric, is_unicast
from proxy.transport.stream import StreamListener
from proxy.transport.udp import UdpListener
from tests.proxy.wire import MESSAGE, callback_of, edited, header, reply_ok, start_line

LIMIT = 10.0  # seconds that nothing here takes

HAS_IPV6 = is_local("::1")
HOSTS = ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not HAS_IPV6, reason="NOT TESTED, this machine has no IPv6 loopback"))]


class Proxy:
    """A receiver on real listeners, each on a free port."""

    def __init__(self, route: RouteFunction, *listens: tuple[str, str]) -> None:
        self.counters = Counters()
        script = Script(default_route=callback_of(route))
        self.receiver = Receiver(Router(script, self.counters), self.counters)
        self.listeners = [self.listener(protocol, host) for protocol, host in listens]
        self.receiver.outbound = Outbound(self.listeners)

    def listener(self, protocol: str, host: str, port: int = 0) -> UdpListener | StreamListener:
        if protocol == "udp":
            return UdpListener((host, port), None, self.receiver.receive, self.counters)
        return StreamListener((host, port), None, self.receiver.receive, self.receiver.receive_broken, self.counters)

    def port(self, index: int = 0) -> int:
        return self.listeners[index].local[1]


@asynccontextmanager
async def running(route: RouteFunction, *listens: tuple[str, str]) -> AsyncIterator[Proxy]:
    proxy = Proxy(route, *listens)
    for listener in proxy.listeners:
        await listener.start_receiving()
    try:
        async with asyncio.timeout(LIMIT):
            yield proxy
    finally:
        await proxy.receiver.outbound.close()
        for listener in proxy.listeners:
            listener.close()
        await asyncio.sleep(0)


class UdpPeer:
    """A socket that sends and waits for what comes."""

    def __init__(self, host: str) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((host, 0))
        self.address: Address = self.socket.getsockname()[:2]

    async def send(self, data: bytes, to: Address) -> None:
        await asyncio.get_running_loop().sock_sendto(self.socket, data, to)

    async def receive(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, 65535)

    def close(self) -> None:
        self.socket.close()


def message_of(via: str, call_id: str = "c1") -> bytes:
    return edited(MESSAGE, (b"SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1", via.encode()), (b"c1@198.51.100.7", call_id.encode()))


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the other end of a socket brings about."""
    while not condition():  # a counter wakes nobody
        await asyncio.sleep(0.001)


async def answers(reader: asyncio.StreamReader, count: int) -> list[bytes]:
    """So many whole messages from a stream."""
    framer = StreamFramer()
    found: list[bytes] = []
    while len(found) < count:
        data = await reader.read(65536)
        assert data, found
        framer.receive_data(data)
        found += list(iter(framer.next_message, None))
    return found


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("rport", [False, True])
def test_udp_answers_go_where_via_and_rport_say(host: str, rport: bool) -> None:
    async def scenario() -> None:
        async with running(reply_ok, ("udp", host)) as proxy:
            with closing(UdpPeer(host)) as peer, closing(UdpPeer(host)) as named:
                sent_by = named.address[1]
                via = f"SIP/2.0/UDP {bracketed(host)}:{sent_by};branch=z9hG4bK1{';rport' if rport else ''}"
                await peer.send(message_of(via), (host, proxy.port()))
                answer = await (peer if rport else named).receive()
                assert start_line(answer) == "SIP/2.0 200 OK"
                stamped = f";rport={peer.address[1]};received={host}" if rport else ""
                assert header(answer, "Via") == [via.removesuffix(";rport") + stamped]

    asyncio.run(scenario())


@pytest.mark.parametrize("host", HOSTS)
def test_tcp_messages_split_and_glued(host: str) -> None:
    messages = [message_of(f"SIP/2.0/TCP {bracketed(host)}:5060;branch=z9hG4bK{number}", f"c{number}") for number in range(20)]

    async def scenario() -> None:
        async with running(reply_ok, ("tcp", host)) as proxy:
            reader, writer = await asyncio.open_connection(host, proxy.port())
            glued = b"".join(messages)
            writer.write(b"\r\n\r\n" + glued[:101])
            await writer.drain()
            assert await reader.readexactly(2) == b"\r\n"
            for at in range(101, len(glued), 999):
                writer.write(glued[at : at + 999])
                await writer.drain()
            found = await answers(reader, len(messages))
            assert [header(answer, "Call-ID") for answer in found] == [[f"c{number}"] for number in range(20)]
            assert {start_line(answer) for answer in found} == {"SIP/2.0 200 OK"}
            writer.close()

    asyncio.run(scenario())


def test_several_listeners_at_once() -> None:
    hosts = ["127.0.0.1", "127.0.0.2", *(["::1"] if HAS_IPV6 else [])]

    async def scenario() -> None:
        listens = [(protocol, host) for host in hosts for protocol in ("udp", "tcp")]
        async with running(lambda request: request.reply(200, request.expand("$proto:$Ri:$Rp")), *listens) as proxy:
            for index, (protocol, host) in enumerate(listens):
                port = proxy.port(index)
                if protocol == "udp":
                    with closing(UdpPeer(host)) as peer:
                        await peer.send(message_of(f"SIP/2.0/UDP {bracketed(host)};rport"), (host, port))
                        answer = await peer.receive()
                else:
                    reader, writer = await asyncio.open_connection(host, port)
                    writer.write(message_of(f"SIP/2.0/TCP {bracketed(host)}"))
                    (answer,) = await answers(reader, 1)
                    writer.close()
                assert start_line(answer) == f"SIP/2.0 200 {protocol}:{host}:{port}"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (b"Content-Length: -2", "SIP/2.0 400 A stream needs one Content-Length"),
        (b"X: y", "SIP/2.0 400 A stream needs one Content-Length"),
        (b"Content-Length: 99999999", "SIP/2.0 513 Body longer than 1048576 bytes"),
    ],
)
def test_a_stream_that_cannot_be_cut_is_answered_and_closed(broken: bytes, status: str) -> None:
    async def scenario() -> None:
        async with running(reply_ok, ("tcp", "127.0.0.1")) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port())
            writer.write(message_of("SIP/2.0/TCP 127.0.0.1") + edited(message_of("SIP/2.0/TCP 127.0.0.1"), (b"Content-Length: 2", broken)))
            found = (await reader.read()).split(b"\r\n\r\n")
            assert [start_line(answer) for answer in found if answer] == ["SIP/2.0 200 OK", status]
            writer.close()

    asyncio.run(scenario())


def test_a_broken_message_that_can_be_cut_leaves_the_connection_open() -> None:
    async def scenario() -> None:
        async with running(reply_ok, ("tcp", "127.0.0.1")) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port())
            good = message_of("SIP/2.0/TCP 127.0.0.1")
            writer.write(edited(good, (b"CSeq: 1 MESSAGE", b"CSeq: 1 INVITE")) + good)
            assert [start_line(answer)[:11] for answer in await answers(reader, 2)] == ["SIP/2.0 400", "SIP/2.0 200"]
            writer.close()

    asyncio.run(scenario())


def test_a_connection_closed_inside_a_message_is_counted() -> None:
    async def scenario() -> None:
        async with running(reply_ok, ("tcp", "127.0.0.1")) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port())
            writer.write(MESSAGE[:50])
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await until(lambda: proxy.counters.drops["tcp connection closed in a message"])

    asyncio.run(scenario())


def as_response(request: bytes) -> bytes:
    """A 200 with everything that the request has, as a user agent would answer it."""
    return edited(request, (request.partition(b"\r\n")[0], b"SIP/2.0 200 OK"))


def test_a_response_goes_back_over_the_connection_of_its_request() -> None:
    """Two callers on TCP, a called one on UDP: each gets its own answer, though their Via tells nothing of use."""

    async def scenario() -> None:
        with closing(UdpPeer("127.0.0.1")) as called:
            to = f"{called.address[0]}:{called.address[1]}"
            async with running(lambda request: request.forward(to), ("udp", "127.0.0.1"), ("tcp", "127.0.0.1")) as proxy:
                callers = [await asyncio.open_connection("127.0.0.1", proxy.port(1)) for _ in range(2)]
                forwarded = []
                for number, (_, writer) in enumerate(callers):
                    writer.write(message_of(f"SIP/2.0/TCP nat.invalid;branch=z9hG4bK{number}", f"c{number}"))
                    forwarded.append(await called.receive())
                for message in reversed(forwarded):
                    await called.send(as_response(message), ("127.0.0.1", proxy.port(0)))
                for number, (reader, writer) in enumerate(callers):
                    (answer,) = await answers(reader, 1)
                    assert header(answer, "Call-ID") == [f"c{number}"]
                    assert header(answer, "Via") == [f"SIP/2.0/TCP nat.invalid;branch=z9hG4bK{number};received=127.0.0.1"]
                    writer.close()

    asyncio.run(scenario())


@pytest.mark.skipif(not HAS_IPV6, reason="NOT TESTED, this machine has no IPv6 loopback")
def test_connections_of_two_listeners_on_one_port_are_told_apart() -> None:
    async def scenario() -> set[str]:
        counters, ids = Counters(), set()
        proxy = Proxy(reply_ok, ("tcp", "127.0.0.1"))
        six = StreamListener(("::1", 0), None, proxy.receiver.receive, proxy.receiver.receive_broken, counters)
        six.local = ("::1", proxy.port())
        for listener, host in ((proxy.listeners[0], "127.0.0.1"), (six, "::1")):
            assert isinstance(listener, StreamListener)
            await listener.start_receiving()
            port = listener._socket.getsockname()[1]
            _, writer = await asyncio.open_connection(host, port)
            await until(listener.connections.__len__)
            ids |= set(listener.connections)
            writer.close()
            listener.close()
        await asyncio.sleep(0.01)
        return ids

    assert len(asyncio.run(scenario())) == 2


def test_requests_to_one_peer_share_a_connection_that_is_opened_for_them() -> None:
    async def scenario() -> None:
        connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        arrived = asyncio.Event()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append((reader, writer))
            arrived.set()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        to = f"sip:127.0.0.1:{server.sockets[0].getsockname()[1]};transport=tcp"
        async with running(lambda request: request.forward(to), ("udp", "127.0.0.1"), ("tcp", "127.0.0.1")) as proxy:
            with closing(UdpPeer("127.0.0.1")) as peer:
                for number in range(3):
                    await peer.send(message_of("SIP/2.0/UDP 127.0.0.1;rport", f"c{number}"), ("127.0.0.1", proxy.port(0)))
                await arrived.wait()
                found = await answers(connections[0][0], 3)
                await peer.send(message_of("SIP/2.0/UDP 127.0.0.1;rport", "c3"), ("127.0.0.1", proxy.port(0)))
                found += await answers(connections[0][0], 1)
        assert [header(message, "Call-ID")[0] for message in found] == ["c0", "c1", "c2", "c3"]
        assert all(re.match(rf"SIP/2\.0/TCP 127\.0\.0\.1:{proxy.port(1)};", header(message, "Via")[0]) for message in found)
        assert len(connections) == 1
        for _, writer in connections:
            writer.close()
            await writer.wait_closed()
        server.close()

    asyncio.run(scenario())


def test_a_connection_forgets_the_request_that_it_was_opened_for() -> None:
    current: ContextVar[str] = ContextVar("current", default="none")
    seen: list[str] = []

    def receive(data: bytes, source: Address, transport: Transport) -> None:
        seen.append(current.get())

    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(as_response((await answers(reader, 1))[0]))
            await reader.read()
            writer.close()

        listener = StreamListener(("127.0.0.1", 0), None, receive, lambda *_: None, Counters())
        async with asyncio.timeout(LIMIT), await asyncio.start_server(answer, "127.0.0.1", 0) as peer:
            current.set("a request")
            listener.send(message_of("SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK1"), peer.sockets[0].getsockname()[:2])
            await until(lambda: seen)
            listener.close()
            await until(lambda: not listener.connections)

    asyncio.run(scenario())
    assert seen == ["none"]


def test_what_waits_for_a_connection_at_the_end_is_counted() -> None:
    async def scenario() -> dict[str, int]:
        async with running(reply_ok, ("tcp", "127.0.0.1")) as proxy:
            for _ in range(2):
                proxy.listeners[0].send(MESSAGE, ("127.0.0.1", 9))
        return proxy.counters.drops

    assert asyncio.run(scenario()) == {"tcp connection not up yet": 2}


def test_a_peer_that_cannot_be_reached_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        with closing(socket.socket()) as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            async with running(lambda request: request.forward(f"sip:127.0.0.1:{port};transport=tcp"), ("tcp", "127.0.0.1")) as proxy:
                _, writer = await asyncio.open_connection("127.0.0.1", proxy.port())
                writer.write(message_of("SIP/2.0/TCP 127.0.0.1") * 2)
                await until(lambda: proxy.counters.drops["tcp connect failed"] == 2)
                writer.close()
        assert f"cannot connect to tcp:127.0.0.1:{port}: " in caplog.text

    asyncio.run(scenario())


def test_a_peer_that_never_reads_loses_its_connection(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(stream, "_WRITE_LIMIT", 1 << 16)

    async def scenario() -> None:
        async with running(lambda request: request.reply(200, body=b"x" * 60_000), ("tcp", "127.0.0.1")) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port(), limit=1)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            with suppress(ConnectionError):
                while not proxy.counters.drops["tcp peer does not read"]:
                    writer.write(message_of("SIP/2.0/TCP 127.0.0.1"))
                    await writer.drain()
                    await asyncio.sleep(0)
            other_reader, other = await asyncio.open_connection("127.0.0.1", proxy.port())
            other.write(message_of("SIP/2.0/TCP 127.0.0.1"))
            assert len(await answers(other_reader, 1)) == 1
            assert proxy.counters.drops["tcp peer does not read"] >= 1
            for each in (writer, other):
                each.transport.abort()
            reader.feed_eof()

    asyncio.run(scenario())
    assert "does not read: connection closed" in caplog.text


def test_too_many_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_MOST_CONNECTIONS", 1)

    async def scenario() -> None:
        async with running(reply_ok, ("tcp", "127.0.0.1")) as proxy:
            first_reader, first = await asyncio.open_connection("127.0.0.1", proxy.port())
            first.write(message_of("SIP/2.0/TCP 127.0.0.1"))
            await answers(first_reader, 1)
            second_reader, second = await asyncio.open_connection("127.0.0.1", proxy.port())
            with suppress(ConnectionError):
                assert await second_reader.read() == b""
            assert proxy.counters.drops["too many tcp connections"] == 1
            first.write(message_of("SIP/2.0/TCP 127.0.0.1"))
            await answers(first_reader, 1)
            for writer in (first, second):
                writer.close()

    asyncio.run(scenario())


def test_a_flood_of_datagrams_is_answered_one_by_one() -> None:
    async def scenario() -> None:
        async with running(reply_ok, ("udp", "127.0.0.1")) as proxy:
            with closing(UdpPeer("127.0.0.1")) as peer:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                for number in range(150):  # more than are taken at one wake-up
                    await peer.send(message_of("SIP/2.0/UDP 127.0.0.1;rport", f"c{number}"), ("127.0.0.1", proxy.port()))
                found = [header(await peer.receive(), "Call-ID")[0] for _ in range(150)]
                assert found == [f"c{number}" for number in range(150)]

    asyncio.run(scenario())


def test_without_proc_the_kernel_tells_of_no_drops(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def scenario() -> int:
        async with running(reply_ok, ("udp", "127.0.0.1")) as proxy:
            listener = proxy.listeners[0]
            assert isinstance(listener, UdpListener)
            monkeypatch.setattr(udp, "Path", lambda name: tmp_path / str(name).strip("/"))
            return listener.kernel_drops()

    assert asyncio.run(scenario()) == 0


def test_a_datagram_that_cannot_be_sent_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running(lambda request: request.reply(200, body=b"x" * 65_500), ("udp", "127.0.0.1")) as proxy:
            with closing(UdpPeer("127.0.0.1")) as peer:
                await peer.send(message_of("SIP/2.0/UDP 127.0.0.1;rport"), ("127.0.0.1", proxy.port()))
                await until(lambda: proxy.counters.drops["udp send failed"])
        assert "cannot send from udp:127.0.0.1:" in caplog.text

    asyncio.run(scenario())


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_an_address_in_use_is_an_error_at_once(protocol: str) -> None:
    async def scenario() -> None:
        async with running(reply_ok, (protocol, "127.0.0.1")) as proxy:
            with pytest.raises(OSError, match="in use"):
                proxy.listener(protocol, "127.0.0.1", proxy.port())

    asyncio.run(scenario())


def test_after_stop_receiving_what_waits_is_still_sent() -> None:
    async def scenario() -> None:
        released = asyncio.Event()

        async def route(request: Request) -> None:
            await released.wait()
            request.reply(200)

        async with running(route, ("udp", "127.0.0.1"), ("tcp", "127.0.0.1")) as proxy:
            with closing(UdpPeer("127.0.0.1")) as peer:
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port(1))
                await peer.send(message_of("SIP/2.0/UDP 127.0.0.1;rport"), ("127.0.0.1", proxy.port(0)))
                writer.write(message_of("SIP/2.0/TCP 127.0.0.1"))
                await until(lambda: proxy.counters.requests == 2)
                for listener in proxy.listeners:
                    listener.stop_receiving()
                released.set()
                assert start_line(await peer.receive()) == "SIP/2.0 200 OK"
                assert start_line((await answers(reader, 1))[0]) == "SIP/2.0 200 OK"
                writer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("local", "advertised", "host", "port", "here"),
    [
        (("127.0.0.1", 5060), None, "127.0.0.1", 5060, True),
        (("127.0.0.1", 5060), None, "127.0.0.1", 5061, False),
        (("127.0.0.1", 5060), None, "127.0.0.2", 5060, False),
        (("0.0.0.0", 5060), None, "127.0.0.1", 5060, True),
        (("0.0.0.0", 5060), None, "192.0.2.1", 5060, False),
        (("0.0.0.0", 5060), None, "example.com", 5060, False),
        (("127.0.0.1", 5060), ("192.0.2.1", 5070), "192.0.2.1", 5070, True),
        (("127.0.0.1", 5060), ("192.0.2.1", 5070), "127.0.0.1", 5060, True),
        (("127.0.0.1", 5060), ("SIP.example.com", 5070), "sip.example.com", 5070, True),
        (("127.0.0.1", 5060), ("sip.example.com", 5070), "sip.example.com", 5060, False),
        (("127.0.0.1", 5060), ("sip.example.com", 0), "sip.example.com", 5060, True),  # port 0: the one that was bound
    ],
)
def test_what_is_here(local: Address, advertised: Address | None, host: str, port: int, here: bool) -> None:
    assert Endpoint(local, advertised).is_here(host, port) is here
    assert Outbound([FakeListener(local, advertised)]).is_myself(host, port) is here


class FakeListener(Endpoint):
    protocol = "UDP"
    connection_id = ""

    def send(self, data: bytes, to: Address, failed: object = None) -> None:
        raise AssertionError(to)


@pytest.mark.parametrize(
    ("local", "advertised", "to", "sent_by"),
    [
        (("127.0.0.1", 5060), None, "192.0.2.1", "127.0.0.1:5060"),
        (("::1", 5060), None, "::1", "[::1]:5060"),
        (("0.0.0.0", 5060), None, "127.0.0.1", "127.0.0.1:5060"),
        (("0.0.0.0", 5060), ("sip.example.com", 5070), "127.0.0.1", "sip.example.com:5070"),
        (("127.0.0.1", 5060), ("2001:db8::1", 5070), "127.0.0.1", "[2001:db8::1]:5070"),
    ],
)
def test_what_a_via_says(local: Address, advertised: Address | None, to: str, sent_by: str) -> None:
    assert Endpoint(local, advertised).sent_by(to) == sent_by


@pytest.mark.parametrize(
    ("host", "numeric", "unicast"),
    [
        ("192.0.2.1", True, True),
        ("127.0.0.1", True, True),
        ("255.255.255.255", True, False),
        ("224.0.1.75", True, False),
        ("0.0.0.0", True, False),
        ("240.0.0.1", True, False),
        ("2001:db8::1", True, True),
        ("fe80::1%lo", True, True),
        ("ff02::1", True, False),
        ("::", True, False),
        ("example.com", False, False),
        ("", False, False),
        ("1.2.3", False, False),
        ("999.1.1.1", False, False),
    ],
)
def test_kinds_of_address(host: str, numeric: bool, unicast: bool) -> None:
    assert (is_numeric(host), is_unicast(host)) == (numeric, unicast)
