"""The way of one message through the receiver: responses back along their Via, and what is dropped is counted."""

from __future__ import annotations

import asyncio
import logging
import tracemalloc

import pytest

from proxy.outbound import Outbound
from proxy.request import Request
from tests.proxy.wire import LOCAL, MESSAGE, NEXT_HOP, SOURCE, Proxy, Wire, edited, forward_on, header, reply_ok, start_line

VIA = b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
OURS = b"Via: SIP/2.0/UDP 192.0.2.254:5060;branch=z9hG4bK-1\r\n"
OK = edited(MESSAGE, (b"MESSAGE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK"), (VIA, OURS + VIA))
ACK = edited(MESSAGE, (b"MESSAGE sip", b"ACK sip"), (b"1 MESSAGE", b"1 ACK"))


def test_a_response_goes_back_along_its_via_unchanged() -> None:
    proxy = Proxy(forward_on)
    assert proxy.receive(OK, NEXT_HOP) == [edited(OK, (OURS, b""))]
    assert proxy.destination == SOURCE
    assert (proxy.counters.responses, proxy.counters.forwarded) == (1, 1)


def test_there_and_back_the_sender_sees_its_own_via() -> None:
    proxy = Proxy(forward_on)
    forwarded = proxy.receive(edited(MESSAGE, (b"198.51.100.7:40000;branch", b"10.0.0.1;rport;branch")))[0]
    answer = edited(forwarded, (b"MESSAGE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK"))
    back = proxy.receive(answer, NEXT_HOP)
    assert header(back[0], "Via") == ["SIP/2.0/UDP 10.0.0.1;rport=40000;branch=z9hG4bKa1;received=198.51.100.7"]
    assert proxy.destination == SOURCE


@pytest.mark.parametrize(
    ("below", "goes_to"),
    [
        (b"SIP/2.0/UDP 203.0.113.20", ("203.0.113.20", 5060)),
        (b"SIP/2.0/UDP a.invalid;received=203.0.113.20", ("203.0.113.20", 5060)),
        (b"SIP/2.0/UDP 10.0.0.1:5070;received=203.0.113.20;rport=6000", ("203.0.113.20", 6000)),
        (b"SIP/2.0/UDP 10.0.0.1:5070;maddr=203.0.113.21;received=203.0.113.20", ("203.0.113.21", 5070)),
    ],
)
def test_where_the_via_below_ours_leads(below: bytes, goes_to: tuple[str, int]) -> None:
    proxy = Proxy(forward_on)
    assert len(proxy.receive(edited(OK, (VIA, b"Via: " + below + b"\r\n")), NEXT_HOP)) == 1
    assert proxy.destination == goes_to


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ([(OURS, b"")], "response not for this proxy"),
        ([(b"192.0.2.254:5060", b"192.0.2.254:5061")], "response not for this proxy"),
        ([(b"192.0.2.254:5060", b"elsewhere.example.com")], "response not for this proxy"),
        ([(VIA, b"")], "response to nobody"),
        ([(VIA, b"Via: x\r\n")], "broken message"),
        ([(OURS, b"Via: x\r\n")], "broken message"),
        ([(b"To: ", b"X: ")], "broken message"),
        ([(b"200 OK", b"99 OK")], "broken message"),
        ([(b"Content-Length: 2", b"Content-Length: 3")], "broken message"),
        ([(b"198.51.100.7:40000", b"255.255.255.255")], "response without a way"),
        ([(b"198.51.100.7:40000", b"239.1.1.1")], "response without a way"),
        ([(b"198.51.100.7:40000", b"[2001:db8::1]")], "response without a way"),
        ([(b"UDP 198.51.100.7:40000", b"TCP 198.51.100.7:40000")], "response without a way"),
    ],
)
def test_a_response_that_is_dropped_is_counted(edits: list[tuple[bytes, bytes]], reason: str) -> None:
    proxy = Proxy(forward_on)
    assert proxy.receive(edited(OK, *edits), NEXT_HOP) == []
    assert proxy.dropped == {reason: 1}


def test_an_alias_is_ours_in_via_and_route() -> None:
    proxy = Proxy(Request.forward, aliases=frozenset({("sip.example.com", None)}))
    assert len(proxy.receive(edited(OK, (b"192.0.2.254:5060", b"SIP.example.com:5080")), NEXT_HOP)) == 1
    sent = proxy.receive(edited(MESSAGE, (b"From:", b"Route: <sip:sip.EXAMPLE.com:5080;lr>, <sip:203.0.113.2;lr>\r\nFrom:")))
    assert header(sent[0], "Route") == ["<sip:203.0.113.2;lr>"]


def test_the_ack_of_our_own_answer_ends_here() -> None:
    proxy = Proxy(reply_ok)
    to = header(proxy.receive(MESSAGE)[0], "To")[0].encode()
    assert proxy.receive(edited(ACK, (b"<sip:bob@example.com>", to))) == []
    assert len(proxy.seen) == 1
    assert proxy.dropped == {"ack of our own answer": 1}


@pytest.mark.parametrize("to", [b"<sip:bob@example.com>", b"<sip:bob@example.com>;tag=somebody-elses"])
def test_another_ack_reaches_the_route(to: bytes) -> None:
    proxy = Proxy(forward_on)
    assert len(proxy.receive(edited(ACK, (b"<sip:bob@example.com>", to)))) == 1


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"\x00", b"\x00\x00\x00\x00", b"\r\n\x00", b"\n"])
def test_keep_alives_are_counted_and_not_answered(data: bytes) -> None:
    proxy = Proxy(reply_ok)
    assert proxy.receive(data) == []
    assert proxy.dropped == {"keep-alive": 1}
    assert proxy.counters.parse_errors == {}


@pytest.mark.parametrize(
    "data", [b"hello", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\xff" * 20, b"\x16\x03\x01\x02\x00", b"SIP/2.0 200 OK\r\n\r\n"]
)
def test_what_is_no_sip_is_counted_and_not_answered(data: bytes) -> None:
    proxy = Proxy(reply_ok)
    assert proxy.receive(data) == []
    assert proxy.dropped == {"broken message": 1}
    assert sum(proxy.counters.parse_errors.values()) == 1


@pytest.mark.parametrize(
    ("edits", "status"),
    [
        ([(b"SIP/2.0\r\n", b"SIP/3.0\r\n")], "505 Version Not Supported"),
        ([(b"sip:bob@example.com SIP", b"mailto:bob@example.com SIP")], "416 Unsupported URI Scheme"),
        ([(b"CSeq: 1 MESSAGE", b"CSeq: 1 INVITE")], "400 Method of CSeq and Request-Line differ"),
        ([(b"From: <sip:alice@example.com>;tag=f1\r\n", b"")], "400 Missing From"),
        ([(b"Call-ID: c1@198.51.100.7\r\n", b"")], "400 Missing Call-ID"),
        ([(b"To: <sip:bob@example.com>\r\n", b"")], "400 Missing To"),
        ([(b"Content-Length: 2", b"Content-Length: 3")], "400 Content-Length larger than the message"),
        ([(b"Content-Length: 2", b"Content-Length: x")], "400 Malformed Content-Length"),
        ([(b"From:", b"no colon\r\nFrom:")], "400 Header field without a name"),
        ([(b"From:", b"X: a\nb\r\nFrom:")], "400 Line end other than CRLF in the head"),
        ([(b"MESSAGE sip", b"MESSAGE  sip")], "400 Malformed Request-Line: one space between Method, Request-URI and SIP-Version"),
    ],
)
def test_a_broken_request_is_answered_and_counted(edits: list[tuple[bytes, bytes]], status: str) -> None:
    proxy = Proxy(reply_ok)
    sent = proxy.receive(edited(MESSAGE, *edits))
    assert [start_line(message) for message in sent] == [f"SIP/2.0 {status}"]
    assert proxy.destination == SOURCE
    assert header(sent[0], "Via") == ["SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1"]
    assert proxy.seen == []
    assert proxy.counters.parse_errors == {status[4:]: 1}
    assert proxy.counters.replies == {int(status[:3]): 1}


@pytest.mark.parametrize("edit", [(b"CSeq: 1 ACK", b"CSeq: 1 INVITE"), (b"From:", b"X:"), (b"Max-Forwards: 70", b"Max-Forwards: 999")])
def test_a_broken_ack_is_not_answered(edit: tuple[bytes, bytes]) -> None:
    proxy = Proxy(reply_ok)
    assert proxy.receive(edited(ACK, edit)) == []
    assert proxy.dropped == {"broken message": 1}


@pytest.mark.parametrize(
    ("via", "goes_to"),
    [
        (b"SIP/2.0/UDP 198.51.100.7:5071", ("198.51.100.7", 5071)),
        (b"SIP/2.0/UDP 10.0.0.1:5071", ("198.51.100.7", 5071)),
        (b"SIP/2.0/UDP 10.0.0.1:5071;rport", SOURCE),
        (b"SIP/2.0/UDP pc33.example.com", ("198.51.100.7", 5060)),
        (b"SIP/2.0/UDP pc33.example.com;maddr=203.0.113.4", ("203.0.113.4", 5060)),
        (b"SIP/2.0/UDP pc33.example.com;maddr=255.255.255.255", SOURCE),
        (b"SIP/2.0/UDP pc33.example.com;maddr=224.0.1.75", SOURCE),
        (b"SIP/2.0/UDP pc33.example.com;maddr=host.example.com", SOURCE),
        (b"SIP/2.0/UDP 255.255.255.255", ("198.51.100.7", 5060)),
    ],
)
def test_where_an_answer_goes(via: bytes, goes_to: tuple[str, int]) -> None:
    proxy = Proxy(reply_ok)
    assert len(proxy.receive(edited(MESSAGE, (VIA, b"Via: " + via + b"\r\n")))) == 1
    assert proxy.destination == goes_to


def test_a_fault_of_our_own_ends_with_its_message(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Wire):
        def send(self, data: bytes, to: tuple[str, int], failed: object = None) -> None:
            if not self.sent:
                self.sent.append((b"", to))
                raise RuntimeError("boom")
            super().send(data, to)

    proxy = Proxy(None, wire=Broken())
    with caplog.at_level(logging.ERROR, "mqproxy"):
        proxy.receive(MESSAGE)
    assert proxy.dropped == {"internal error": 1}
    assert "message from 198.51.100.7:40000 dropped" in caplog.text
    assert "boom" in caplog.text
    assert [start_line(sent) for sent in proxy.receive(MESSAGE)] == ["SIP/2.0 405 Method Not Allowed"]


def test_a_name_is_looked_up_and_a_wrong_one_is_503() -> None:
    async def scenario() -> tuple[list[tuple[bytes, tuple[str, int]]], dict[str, int]]:
        proxy = Proxy(Request.forward)
        for host in (b"localhost:5099", b"nobody.invalid"):
            proxy.receive(edited(MESSAGE, (b"sip:bob@example.com SIP", b"sip:bob@" + host + b" SIP")))
        outbound: Outbound = proxy.receiver.outbound
        await asyncio.gather(*outbound._tasks)
        proxy.receive(edited(MESSAGE, (b"sip:bob@example.com SIP", b"sip:bob@localhost:5099 SIP")))
        await outbound.close()
        return proxy.wire.sent, proxy.dropped

    sent, _ = asyncio.run(scenario())
    assert [to for data, to in sent if start_line(data).startswith("MESSAGE")] == [("127.0.0.1", 5099)] * 2
    assert [start_line(data) for data, _ in sent if not start_line(data).startswith("MESSAGE")] == ["SIP/2.0 503 Service Unavailable"]


def strange(number: int) -> bytes:
    """A request with long text of its own wherever something is remembered: in To, in Via, in the Request-URI."""
    text = b"%05d" % number * 2000
    return edited(
        MESSAGE,
        (b"198.51.100.7:40000", text + b".example.com"),
        (b"sip:bob@example.com SIP", b"sip:%b.example.com;x=%b SIP" % (text, text)),
        (b"<sip:bob@example.com>", b'"plain" <sip:%b@example.com;x=1>' % text),
    )


def test_strangers_cannot_fill_the_memory_with_long_texts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "mqproxy")  # pytest would keep each line

    async def scenario() -> int:
        proxy = Proxy(Request.forward)
        for number in range(20):
            proxy.receive(strange(number))
        proxy.wire.sent.clear()
        tracemalloc.start()
        for number in range(20, 320):
            proxy.receive(strange(number))
            proxy.wire.sent.clear()
            proxy.seen.clear()
        assert proxy.counters.replies == {503: 320}
        grown = tracemalloc.get_traced_memory()[0]
        await proxy.receiver.outbound.close()
        return grown

    try:
        assert asyncio.run(scenario()) < 1_000_000  # bytes, of 12 million received
    finally:
        tracemalloc.stop()


def test_the_transport_that_fits_is_chosen() -> None:
    six, stream = Wire("UDP", ("2001:db8::254", 5060)), Wire("TCP", LOCAL)
    proxy = Proxy(Request.forward, transports=[six, stream])
    for uri in (b"sip:[2001:db8::9]:5070", b"sip:203.0.113.1;transport=tcp", b"sip:203.0.113.1"):
        proxy.receive(edited(MESSAGE, (b"sip:bob@example.com SIP", uri + b" SIP")))
    assert [to for _, to in six.sent] == [("2001:db8::9", 5070)]
    assert [to for _, to in stream.sent] == [("203.0.113.1", 5060)]
    assert [to for _, to in proxy.wire.sent] == [("203.0.113.1", 5060)]
    assert header(stream.sent[0][0], "Via")[0].startswith("SIP/2.0/TCP 192.0.2.254:5060;")
