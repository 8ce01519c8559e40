"""Stateless forwarding: Route, Max-Forwards, Via, and branches that stay the same."""

from __future__ import annotations

import pytest

from proxy.sip.errors import ParseError
from proxy.sip.forwarding import NextHop, count_hop, next_hop, pop_own_route, pop_via, push_via, stateless_branch
from proxy.sip.framing import parse_message
from proxy.sip.message import Request, Response
from proxy.sip.uri import SipUri
from proxy.sip.via import Via
from tests.proxy.wire import MESSAGE, edited

VIA = b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
HOPS = b"Max-Forwards: 70\r\n"
URI = b"sip:bob@example.com"


def request_of(*edits: tuple[bytes, bytes]) -> Request:
    message = parse_message(edited(MESSAGE, *edits))
    assert isinstance(message, Request)
    return message


def with_routes(*lines: bytes) -> Request:
    return request_of((VIA, VIA + b"".join(line + b"\r\n" for line in lines)))


def is_me(host: str, port: int | None) -> bool:
    return (host, port) in (("192.0.2.254", 5060), ("192.0.2.254", None), ("2001:db8::1", None), ("me.example.com", None))


@pytest.mark.parametrize(
    ("field", "counted", "goes_on"),
    [
        (b"Max-Forwards: 70\r\n", b"Max-Forwards: 69\r\n", True),
        (b"Max-Forwards: 1\r\n", b"Max-Forwards: 0\r\n", True),
        (b"max-FORWARDS : 0068\r\n", b"max-FORWARDS : 67\r\n", True),
        (b"Max-Forwards:\r\n 5\r\n", b"Max-Forwards: 4\r\n", True),
        (b"Max-Forwards: 255\r\n", b"Max-Forwards: 254\r\n", True),
    ],
)
def test_max_forwards_is_counted_where_it_stands(field: bytes, counted: bytes, goes_on: bool) -> None:
    request = request_of((HOPS, field))
    assert count_hop(request) is goes_on
    assert bytes(request) == edited(MESSAGE, (HOPS, counted))


def test_max_forwards_of_zero_goes_nowhere() -> None:
    assert not count_hop(request_of((HOPS, b"Max-Forwards: 0\r\n")))


def test_max_forwards_is_added_where_there_is_none() -> None:
    request = request_of((HOPS, b""))
    assert count_hop(request)
    assert request.lines[-1] == b"Max-Forwards: 70"


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ((b"Route: <sip:192.0.2.254;lr>",), ()),
        ((b"Route: <sip:192.0.2.254:5060;lr>, <sip:p2;lr>",), (b"Route: <sip:p2;lr>",)),
        ((b"Route: <sip:192.0.2.254;lr>", b"Route: <sip:p2;lr>"), (b"Route: <sip:p2;lr>",)),
        ((b"rOUTE : <sip:ME.Example.com;lr>,<sip:p2;lr> , <sip:p3>",), (b"rOUTE : <sip:p2;lr>, <sip:p3>",)),
        ((b'Route:\r\n <sip:[2001:DB8::1];lr>\r\n , "a, b" <sip:p2;lr>',), (b'Route: "a, b" <sip:p2;lr>',)),
    ],
)
def test_a_route_that_names_this_proxy_is_taken_away(lines: tuple[bytes, ...], left: tuple[bytes, ...]) -> None:
    request = with_routes(*lines)
    assert pop_own_route(request, is_me)
    assert bytes(request) == bytes(with_routes(*left))


@pytest.mark.parametrize("lines", [(), (b"Route: <sip:p2;lr>, <sip:192.0.2.254;lr>",), (b"Route: <sip:192.0.2.254:5070;lr>",)])
def test_another_route_is_not(lines: tuple[bytes, ...]) -> None:
    request = with_routes(*lines)
    assert not pop_own_route(request, is_me)
    assert bytes(request) == bytes(with_routes(*lines))


@pytest.mark.parametrize("line", [b"Route: x", b"Route: <sip:p2", b"Route:", b"Route: <tel:+1>", b"Route: ,<sip:p2>"])
def test_a_malformed_route_is_refused(line: bytes) -> None:
    with pytest.raises(ParseError, match="Malformed Route"):
        pop_own_route(with_routes(line), is_me)
    with pytest.raises(ParseError, match="Malformed Route"):
        next_hop(with_routes(line), None)


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        (b"sip:example.com", NextHop("UDP", "example.com", None)),
        (b"sip:bob@192.0.2.1:5070;transport=TCP", NextHop("TCP", "192.0.2.1", 5070)),
        (b"sip:bob@[2001:db8::9]:5070", NextHop("UDP", "2001:db8::9", 5070)),
        (b"sip:bob@example.com;maddr=192.0.2.7", NextHop("UDP", "192.0.2.7", None)),
        (b"sip:bob@example.com:5070;maddr=[2001:db8::7]", NextHop("UDP", "2001:db8::7", 5070)),
        (b"sips:example.com", NextHop("TLS", "example.com", None)),
    ],
)
def test_without_a_route_the_request_uri_leads(uri: bytes, hop: NextHop) -> None:
    request = request_of((URI, uri))
    before = bytes(request)
    assert next_hop(request, None) == hop
    assert bytes(request) == before


def test_a_loose_router_leads_and_stays() -> None:
    request = with_routes(b"Route: <sip:p2.example.com:5080;lr>, <sip:p3;lr>")
    before = bytes(request)
    assert next_hop(request, None) == NextHop("UDP", "p2.example.com", 5080)
    assert bytes(request) == before


@pytest.mark.parametrize("lines", [(), (b"Route: <sip:p2;lr>",), (b"Route: <sip:strict>",)])
def test_where_the_route_file_says_comes_first(lines: tuple[bytes, ...]) -> None:
    request = with_routes(*lines)
    before = bytes(request)
    assert next_hop(request, SipUri.parse("sip:192.0.2.5:5099;transport=tcp")) == NextHop("TCP", "192.0.2.5", 5099)
    assert bytes(request) == before


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ((b"Route: <sip:strict.example.com>",), b"Route: <sip:bob@example.com>\r\n"),
        ((b"Route: <sip:strict.example.com>, <sip:p3;lr>",), b"Route: <sip:p3;lr>\r\nRoute: <sip:bob@example.com>\r\n"),
        (
            (b"Route: <sip:strict.example.com>", b"Route: <sip:p3;lr>", b"Route: <sip:p4;lr>"),
            b"Route: <sip:p3;lr>\r\nRoute: <sip:p4;lr>\r\nRoute: <sip:bob@example.com>\r\n",
        ),
    ],
)
def test_a_strict_router_gets_what_it_expects(lines: tuple[bytes, ...], left: bytes) -> None:
    request = with_routes(*lines)
    assert next_hop(request, None) == NextHop("UDP", "strict.example.com", None)
    assert request.request_uri == "sip:strict.example.com"
    assert bytes(request).startswith(b"MESSAGE sip:strict.example.com SIP/2.0\r\n")
    assert left in bytes(request)
    assert request.fields(b"route") == [line.partition(b": ")[2].decode() for line in left.splitlines()]


def test_the_via_is_pushed_before_all_others() -> None:
    request = request_of((VIA, b"X: y\r\nv: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n"))
    push_via(request, "SIP/2.0/UDP me;branch=z9hG4bK1")
    assert request.values(b"via") == ["SIP/2.0/UDP me;branch=z9hG4bK1", "SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert b"X: y\r\nVia: SIP/2.0/UDP me;branch=z9hG4bK1\r\nv: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n" in bytes(request)


def branch_of(*edits: tuple[bytes, bytes]) -> str:
    request = request_of(*edits)
    return stateless_branch(request, Via.parse(request.values(b"via")[0]))


TO = b"To: <sip:bob@example.com>"
CANCEL = ((b"MESSAGE sip", b"CANCEL sip"), (b"1 MESSAGE", b"1 CANCEL"))
ACK = ((b"MESSAGE sip", b"ACK sip"), (b"1 MESSAGE", b"1 ACK"), (TO, TO + b";tag=t1"))
OLD = (b";branch=z9hG4bKa1", b"")  # as RFC 2543 has it


@pytest.mark.parametrize("edits", [(), CANCEL, ACK, ((HOPS, b""),), ((URI, b"sip:carol@example.com"),)])
def test_the_branch_is_the_same_for_what_belongs_together(edits: tuple[tuple[bytes, bytes], ...]) -> None:
    assert branch_of(*edits) == branch_of()


@pytest.mark.parametrize("edit", [(b"z9hG4bKa1", b"z9hG4bKa2"), (b"198.51.100.7:40000", b"198.51.100.8:40000"), (b":40000", b":40001")])
def test_another_transaction_has_another_branch(edit: tuple[bytes, bytes]) -> None:
    assert branch_of(edit) != branch_of()


@pytest.mark.parametrize("edits", [(OLD,), (OLD, *CANCEL), (OLD, (HOPS, b"")), (OLD, (b"CSeq: 1 ", b"CSeq:\t01\t"))])
def test_without_a_cookie_the_fields_of_rfc_2543_tell(edits: tuple[tuple[bytes, bytes], ...]) -> None:
    assert branch_of(*edits) == branch_of(OLD)


@pytest.mark.parametrize(
    "edit",
    [
        (URI, b"sip:carol@example.com"),
        (b"CSeq: 1 ", b"CSeq: 2 "),
        (b"Call-ID: c1", b"Call-ID: c2"),
        (b";tag=f1", b";tag=f2"),
        (TO, TO + b";tag=t1"),
        (b"198.51.100.7:40000", b"198.51.100.8:40000"),
    ],
)
def test_without_a_cookie_another_request_has_another_branch(edit: tuple[bytes, bytes]) -> None:
    assert branch_of(OLD, edit) != branch_of(OLD)


def test_the_cookie_alone_identifies_nothing() -> None:
    alone = (b"branch=z9hG4bKa1", b"branch=z9hG4bK")
    assert branch_of(alone) != branch_of(alone, (b"Call-ID: c1", b"Call-ID: c2"))


def test_every_branch_has_the_cookie_and_is_a_token() -> None:
    for edits in ((), (OLD,)):
        assert branch_of(*edits).startswith("z9hG4bK-")
        assert Via.parse(f"SIP/2.0/UDP a;branch={branch_of(*edits)}").branch == branch_of(*edits)


RESPONSE = (b"MESSAGE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK")


@pytest.mark.parametrize(
    ("vias", "left", "below"),
    [
        (b"Via: SIP/2.0/UDP me\r\nVia: SIP/2.0/UDP a:5070\r\n", b"Via: SIP/2.0/UDP a:5070\r\n", ("a", 5070)),
        (b"Via: SIP/2.0/UDP me, SIP/2.0/UDP a:5070\r\n", b"Via: SIP/2.0/UDP a:5070\r\n", ("a", 5070)),
        (b"v : SIP/2.0/UDP me\r\n ,SIP/2.0/UDP a,SIP/2.0/UDP b\r\n", b"v : SIP/2.0/UDP a, SIP/2.0/UDP b\r\n", ("a", 5060)),
        (b"Via: SIP/2.0/UDP me\r\n", b"", None),
    ],
)
def test_our_via_is_taken_from_a_response(vias: bytes, left: bytes, below: tuple[str, int] | None) -> None:
    data = edited(MESSAGE, RESPONSE, (VIA, vias))
    response = parse_message(data)
    assert isinstance(response, Response)
    found = pop_via(response)
    assert (found and found.sent_by) == below
    assert bytes(response) == edited(data, (vias, left))


def test_a_malformed_via_below_ours_is_a_parse_error() -> None:
    response = parse_message(edited(MESSAGE, RESPONSE, (VIA, b"Via: SIP/2.0/UDP me\r\nVia: x\r\n")))
    assert isinstance(response, Response)
    with pytest.raises(ParseError, match="Malformed Via"):
        pop_via(response)
