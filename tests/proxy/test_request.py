"""What a route can do with a request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from proxy.errors import RequestError
from proxy.request import Request
from tests.proxy.wire import (
    LOCAL,
    MESSAGE,
    NEXT_HOP,
    SOURCE,
    Proxy,
    Wire,
    body_of,
    edited,
    forward_on,
    header,
    reply_ok,
    request_of,
    start_line,
)

ACK = edited(MESSAGE, (b"MESSAGE sip", b"ACK sip"), (b"1 MESSAGE", b"1 ACK"))
ROUTED = edited(MESSAGE, (b"From:", b"Record-Route: <sip:p2;lr>\r\nRecord-Route: <sip:p1;lr>\r\nFrom:"))


def replying(*arguments: object, **more: object) -> Callable[[Request], None]:
    def route(request: Request) -> None:
        request.reply(*arguments, **more)  # type: ignore[arg-type]

    return route


def test_an_answer_byte_for_byte() -> None:
    sent = Proxy(reply_ok).receive(MESSAGE)
    assert len(sent) == 1
    tag = re.search(rb";tag=([0-9a-f]+\.[0-9a-f]+)\r\nCall", sent[0])
    assert tag is not None
    version = header(sent[0], "Server")[0]
    assert sent[0] == (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
        b"From: <sip:alice@example.com>;tag=f1\r\n"
        b"To: <sip:bob@example.com>;tag=" + tag[1] + b"\r\n"
        b"Call-ID: c1@198.51.100.7\r\n"
        b"CSeq: 1 MESSAGE\r\n"
        b"Server: " + version.encode() + b"\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("status_code", "reason", "line"),
    [
        (200, None, "SIP/2.0 200 OK"),
        (200, "OK", "SIP/2.0 200 OK"),
        (200, "Queued", "SIP/2.0 200 Queued"),
        (202, None, "SIP/2.0 202 Accepted"),
        (486, None, "SIP/2.0 486 Busy Here"),
        (499, None, "SIP/2.0 499 Bad Request"),
        (603, "Nein, danke", "SIP/2.0 603 Nein, danke"),
        (180, "", "SIP/2.0 180 "),
    ],
)
def test_status_and_reason(status_code: int, reason: str | None, line: str) -> None:
    proxy = Proxy(replying(status_code, reason))
    assert [start_line(sent) for sent in proxy.receive(MESSAGE)] == [line]
    assert proxy.counters.replies == {status_code: 1}
    assert proxy.destination == SOURCE


def test_the_tag_is_added_once_and_stays_for_retransmissions() -> None:
    proxy = Proxy(reply_ok)
    first, again = proxy.receive(MESSAGE), proxy.receive(MESSAGE)
    assert first == again
    assert first[0].count(b";tag=") == 2
    other = proxy.receive(edited(MESSAGE, (b"c1@", b"c2@")))
    assert header(other[0], "To") != header(first[0], "To")
    assert header(Proxy(reply_ok).receive(MESSAGE)[0], "To") != header(first[0], "To")


def test_a_tag_that_is_there_stays() -> None:
    sent = Proxy(reply_ok).receive(edited(MESSAGE, (b"<sip:bob@example.com>", b"<sip:bob@example.com>;tag=t9")))
    assert header(sent[0], "To") == ["<sip:bob@example.com>;tag=t9"]


def test_trying_has_no_tag_and_is_not_the_last_word() -> None:
    def route(request: Request) -> None:
        request.reply(100)
        assert not request.is_decided
        request.reply(180)
        request.reply(183)
        request.reply(200)
        assert request.is_decided

    sent = Proxy(route).receive(MESSAGE)
    assert [start_line(message) for message in sent] == [
        "SIP/2.0 100 Trying",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 183 Session Progress",
        "SIP/2.0 200 OK",
    ]
    assert header(sent[0], "To") == ["<sip:bob@example.com>"]
    assert len({header(message, "To")[0] for message in sent[1:]}) == 1


ENDS: list[Callable[[Request], None]] = [reply_ok, forward_on, Request.drop]
AFTERWARDS: list[Callable[[Request], None]] = [reply_ok, replying(100), forward_on]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("afterwards", AFTERWARDS)
def test_what_is_decided_stays_decided(end: Callable[[Request], None], afterwards: Callable[[Request], None]) -> None:
    def route(request: Request) -> None:
        end(request)
        with pytest.raises(RequestError, match=r"MESSAGE sip:bob@example\.com c1@.* already"):
            afterwards(request)
        request.drop()

    proxy = Proxy(route)
    assert len(proxy.receive(MESSAGE)) == (0 if end is Request.drop else 1)
    assert proxy.counters.route_errors == {}


def test_an_ack_is_never_answered() -> None:
    proxy = Proxy(reply_ok)
    assert proxy.receive(ACK) == []
    assert len(proxy.seen) == 1
    assert proxy.counters.replies == {}


@pytest.mark.parametrize(
    ("status_code", "copied"), [(100, False), (180, True), (199, True), (200, True), (299, True), (300, False), (404, False), (600, False)]
)
def test_record_route_is_copied_into_what_makes_a_dialogue(status_code: int, copied: bool) -> None:
    sent = Proxy(replying(status_code)).receive(ROUTED)
    assert header(sent[0], "Record-Route") == (["<sip:p2;lr>", "<sip:p1;lr>"] if copied else [])


@pytest.mark.parametrize("headers", [{"Contact": "<sip:me>", "X-A": "1"}, [("Contact", "<sip:me>"), ("X-A", "1")]])
@pytest.mark.parametrize("body", [b"v=0\xff\x00", "v=0\r\n"])
def test_header_fields_and_body_of_an_answer(headers: object, body: bytes | str) -> None:
    sent = Proxy(replying(200, headers=headers, body=body)).receive(MESSAGE)
    octets = body.encode() if isinstance(body, str) else body
    assert b"\r\nContact: <sip:me>\r\nX-A: 1\r\nContent-Length: %d\r\n\r\n" % len(octets) in sent[0]
    assert body_of(sent[0]) == octets


MISTAKES: list[tuple[Callable[[Request], object], str]] = [
    (lambda request: request.reply(200, "OK\r\nEvil: 1"), "line end"),
    (lambda request: request.reply(200, headers={"X": "1\r\nEvil: 1"}), "line end"),
    (lambda request: request.reply(200, headers={"X\r\nEvil": "1"}), "no name"),
    (lambda request: request.reply(200, headers=[("", "1")]), "no name"),
    (lambda request: request.reply(99), "status code"),
    (lambda request: request.reply(700), "status code"),
    (lambda request: request.append_header("X", "1\nEvil: 1"), "line end"),
    (lambda request: request.append_header("X Y", "1"), "no name"),
    (lambda request: setattr(request, "request_uri", "sip:a b"), "Request-URI"),
    (lambda request: setattr(request, "request_uri", "sip:a\r\n"), "Request-URI"),
    (lambda request: request.forward("not a host"), "forward to 'not a host'"),
    (lambda request: request.forward("sip:"), "write sip:HOST:PORT"),
    (lambda request: request.forward("192.0.2.1:99999"), "forward to"),
    (lambda request: request.forward("<sip:192.0.2.1>"), "forward to"),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES)
def test_a_mistake_sends_nothing_and_leaves_the_request_open(mistake: Callable[[Request], object], words: str) -> None:
    def route(request: Request) -> None:
        with pytest.raises(ValueError, match=words):
            mistake(request)
        assert not request.is_decided
        request.reply(204)

    assert [start_line(sent) for sent in Proxy(route).receive(MESSAGE)] == ["SIP/2.0 204 No Notification"]


def test_what_a_route_reads() -> None:
    wire = Wire("TCP")
    proxy = Proxy(reply_ok, wire=wire)
    data = edited(MESSAGE, (b"From:", b"s:\r\n two\r\n lines\r\nSubject: again\r\nFrom:"))
    proxy.receive(data)
    request = proxy.seen[0]
    assert (request.method, request.request_uri, request.call_id) == ("MESSAGE", "sip:bob@example.com", "c1@198.51.100.7")
    assert (request.from_.uri, request.from_.tag, request.to.uri, request.to.tag) == (
        "sip:alice@example.com",
        "f1",
        "sip:bob@example.com",
        None,
    )
    assert (request.body, request.received, request.source, request.transport) == (b"hi", data, SOURCE, wire)
    assert request.header("SUBJECT") == "two lines"
    assert request.headers("s") == ["two lines", "again"]
    assert request.header("X-None") is None
    assert request.headers("X-None") == []
    assert repr(request) == "<Request MESSAGE sip:bob@example.com c1@198.51.100.7>"
    assert request.pv("$fU") == "alice"
    assert request.expand("$rm from $fU to $tt costs $$1") == "MESSAGE from alice to <null> costs $1"


def test_a_forwarded_request_carries_the_edits() -> None:
    def route(request: Request) -> None:
        request.request_uri = "sip:carol@192.0.2.30"
        request.append_header("X-New", "1")
        assert request.remove_header("max-forwards") == 1
        assert request.remove_header("X-None") == 0
        request.forward(f"sip:{NEXT_HOP[0]}:{NEXT_HOP[1]}")

    proxy = Proxy(route)
    sent = proxy.receive(MESSAGE)[0]
    branch = re.search(r"z9hG4bK-[0-9a-f]+", header(sent, "Via")[0])
    assert branch is not None
    assert sent == (
        b"MESSAGE sip:carol@192.0.2.30 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.254:5060;branch=" + branch[0].encode() + b"\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
        b"From: <sip:alice@example.com>;tag=f1\r\n"
        b"To: <sip:bob@example.com>\r\n"
        b"Call-ID: c1@198.51.100.7\r\n"
        b"CSeq: 1 MESSAGE\r\n"
        b"Content-Length: 2\r\n"
        b"X-New: 1\r\n"
        b"Max-Forwards: 70\r\n"
        b"\r\n"
        b"hi"
    )
    assert proxy.destination == NEXT_HOP
    assert (proxy.counters.forwarded, proxy.seen[0].is_decided) == (1, True)


@pytest.mark.parametrize(
    ("edits", "goes_to", "routes"),
    [
        ([(b"sip:bob@example.com SIP", b"sip:bob@203.0.113.1 SIP")], ("203.0.113.1", 5060), []),
        ([(b"sip:bob@example.com SIP", b"sip:bob@203.0.113.1:5099 SIP")], ("203.0.113.1", 5099), []),
        ([(b"From:", b"Route: <sip:203.0.113.2:5070;lr>\r\nFrom:")], ("203.0.113.2", 5070), ["<sip:203.0.113.2:5070;lr>"]),
        ([(b"From:", b"Route: <sip:192.0.2.254;lr>, <sip:203.0.113.2;lr>\r\nFrom:")], ("203.0.113.2", 5060), ["<sip:203.0.113.2;lr>"]),
        (
            [(b"From:", b"Route: <sip:192.0.2.254;lr>\r\nFrom:"), (b"sip:bob@example.com SIP", b"sip:bob@203.0.113.1 SIP")],
            ("203.0.113.1", 5060),
            [],
        ),
        ([(b"From:", b"Route: <sip:203.0.113.3>\r\nFrom:")], ("203.0.113.3", 5060), ["<sip:bob@example.com>"]),
    ],
)
def test_where_a_request_goes_by_itself(edits: list[tuple[bytes, bytes]], goes_to: tuple[str, int], routes: list[str]) -> None:
    proxy = Proxy(Request.forward)
    sent = proxy.receive(edited(MESSAGE, *edits))
    assert proxy.destination == goes_to
    assert header(sent[0], "Route") == routes


@pytest.mark.parametrize(
    ("edits", "status_code"),
    [
        ([(b"Max-Forwards: 70", b"Max-Forwards: 0")], 483),
        ([(b"From:", b"Route: x\r\nFrom:")], 400),
        ([(b"From:", b"Route: <tel:+1>\r\nFrom:")], 400),
        ([(b"sip:bob@example.com SIP", b"tel:+1 SIP")], 416),
        ([(b"sip:bob@example.com SIP", b"sip:bob@203.0.113.1;transport=tcp SIP")], 503),
        ([(b"sip:bob@example.com SIP", b"sips:bob@203.0.113.1 SIP")], 503),
        ([(b"sip:bob@example.com SIP", b"sip:bob@[2001:db8::1] SIP")], 503),
        ([(b"sip:bob@example.com SIP", b"sip:bob@255.255.255.255 SIP")], 503),
        ([(b"sip:bob@example.com SIP", b"sip:bob@224.0.1.75 SIP")], 503),
        ([(b"sip:bob@example.com SIP", b"sip:bob@0.0.0.0 SIP")], 503),
    ],
)
def test_what_cannot_be_forwarded_is_refused(edits: list[tuple[bytes, bytes]], status_code: int) -> None:
    proxy = Proxy(Request.forward)
    assert [start_line(sent)[:11] for sent in proxy.receive(edited(MESSAGE, *edits))] == [f"SIP/2.0 {status_code}"]
    assert proxy.counters.forwarded == 0
    assert proxy.seen[0].is_decided


@pytest.mark.parametrize("name", ["Via", "v", "From", "To", "Call-ID", "CSeq", "Content-Length", "l"])
def test_what_makes_the_message_is_no_business_of_a_route(name: str) -> None:
    request = request_of()
    with pytest.raises(ValueError, match="written by the proxy itself"):
        request.reply(200, headers={name: "0"})
    with pytest.raises(ValueError, match="written by the proxy itself"):
        request.append_header(name, "0")
    with pytest.raises(ValueError, match="written by the proxy itself"):
        request.remove_header(name)
    assert not request.is_decided


def test_a_reply_that_cannot_be_built_leaves_the_request_open() -> None:
    proxy = Proxy(lambda request: request.reply(200, body=None))  # type: ignore[arg-type]
    assert [start_line(sent) for sent in proxy.receive(MESSAGE)] == ["SIP/2.0 500 Server Internal Error"]


def test_both_of_our_own_routes_are_taken_away() -> None:
    own = f"<sip:{LOCAL[0]}:{LOCAL[1]};lr>".encode()
    proxy = Proxy(Request.forward)
    [sent] = proxy.receive(edited(MESSAGE, (b"From:", b"Route: " + own + b", " + own + b"\r\nRoute: <sip:192.0.2.7;lr>\r\nFrom:")))
    assert header(sent, "Route") == ["<sip:192.0.2.7;lr>"]
    assert proxy.destination == ("192.0.2.7", 5060)


def test_a_request_that_goes_round_is_refused() -> None:
    proxy = Proxy(lambda request: request.forward(f"{LOCAL[0]}:{LOCAL[1]}"))
    [again] = proxy.receive(MESSAGE)
    assert proxy.destination == LOCAL
    assert [start_line(sent) for sent in proxy.receive(again, LOCAL)] == ["SIP/2.0 482 Loop Detected"]
    assert proxy.counters.forwarded == 1


def test_an_ack_that_cannot_be_forwarded_is_counted() -> None:
    proxy = Proxy(Request.forward)
    assert proxy.receive(edited(ACK, (b"Max-Forwards: 70", b"Max-Forwards: 0"))) == []
    assert proxy.dropped == {"ack not forwarded": 1}


@pytest.mark.parametrize(
    ("uri", "is_ours"),
    [
        (f"sip:alice@{LOCAL[0]}:{LOCAL[1]}", True),
        ("sip:proxy.example", True),
        ("sip:PROXY.example:5090", True),
        (f"sip:{LOCAL[0]}:1", False),
        ("sip:elsewhere.example", False),
        ("tel:+1", False),
    ],
)
def test_what_names_this_proxy(uri: str, is_ours: bool) -> None:
    request = request_of(proxy=Proxy(aliases=frozenset({("proxy.example", None)})))
    assert request.is_myself(uri) is is_ours
    assert request.is_myself() is False


def test_a_dropped_request_is_counted_once() -> None:
    def route(request: Request) -> None:
        request.drop()
        request.drop()

    proxy = Proxy(route)
    assert proxy.receive(MESSAGE) == []
    assert proxy.dropped == {"dropped by route": 1}


def test_a_retransmission_and_its_cancel_get_the_same_branch() -> None:
    proxy = Proxy(forward_on)
    cancel = edited(MESSAGE, (b"MESSAGE sip", b"CANCEL sip"), (b"1 MESSAGE", b"1 CANCEL"))
    branches = {header(proxy.receive(data)[0], "Via")[0] for data in (MESSAGE, MESSAGE, cancel, ACK)}
    assert len(branches) == 1
    other = edited(MESSAGE, (b"z9hG4bKa1", b"z9hG4bKa2"))
    assert header(proxy.receive(other)[0], "Via")[0] not in branches


def test_our_via_names_the_connection_that_a_stream_request_came_over() -> None:
    wire = Wire("TCP", connection_id="13c4.7")
    Proxy(forward_on).receive(MESSAGE)
    proxy = Proxy(lambda request: request.forward(f"sip:{NEXT_HOP[0]}:{NEXT_HOP[1]};transport=tcp"), wire=wire)
    sent = proxy.receive(MESSAGE)
    assert header(sent[0], "Via")[0].startswith(f"SIP/2.0/TCP {LOCAL[0]}:5060;branch=z9hG4bK-")
    assert header(sent[0], "Via")[0].endswith(";i=13c4.7")


def test_an_async_route_answers_later() -> None:
    async def scenario() -> list[str]:
        released = asyncio.Event()

        async def route(request: Request) -> None:
            request.reply(100)
            await released.wait()
            request.reply(200)

        proxy = Proxy(route)
        proxy.receive(MESSAGE)
        await asyncio.sleep(0)
        assert len(proxy.wire.sent) == 1
        released.set()
        await proxy.router.finish(5)
        return [start_line(sent) for sent, _ in proxy.wire.sent]

    assert asyncio.run(scenario()) == ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]


def test_header_of_a_name_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="header field name"):
        request_of().header("a b")
