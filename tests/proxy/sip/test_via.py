"""Via values, and what the server transport writes into the top one."""

from __future__ import annotations

import pytest

from proxy.sip.errors import ParseError
from proxy.sip.via import Address, Via, arrived, bare, bracketed, default_port

SOURCE = ("198.51.100.7", 40000)


@pytest.mark.parametrize(
    ("text", "parts", "sent_by"),
    [
        ("SIP/2.0/UDP a.example.com", ("UDP", "a.example.com", None, ""), ("a.example.com", 5060)),
        ("SIP/2.0/tcp A.Example.com:5070;branch=z", ("TCP", "A.Example.com", 5070, ";branch=z"), ("a.example.com", 5070)),
        ("SIP/2.0/TLS a", ("TLS", "a", None, ""), ("a", 5061)),
        ("SIP/2.0/WSS a", ("WSS", "a", None, ""), ("a", 443)),
        ("SIP/2.0/WS a", ("WS", "a", None, ""), ("a", 80)),
        ("SIP/2.0/UNKNOWN a", ("UNKNOWN", "a", None, ""), ("a", 5060)),
        ("SIP/2.0/UDP [2001:DB8::1]:5070;x", ("UDP", "[2001:DB8::1]", 5070, ";x"), ("2001:db8::1", 5070)),
        ("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw", ("UDP", "192.0.2.2", None, ";branch=390skdjuw"), ("192.0.2.2", 5060)),
        ("SIP / 2.0 / UDP first.example.com: 4000;ttl=16", ("UDP", "first.example.com", 4000, ";ttl=16"), ("first.example.com", 4000)),
    ],
)
def test_parts(text: str, parts: tuple[object, ...], sent_by: Address) -> None:
    via = Via.parse(text)
    assert (via.protocol, via.host, via.port, via.params) == parts
    assert via.sent_by == sent_by


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 a",
        "SIP/7.0/UDP a",
        "HTTP/2.0/UDP a",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP a:0",
        "SIP/2.0/UDP a:65536",
        "SIP/2.0/UDP a:999999",
        "SIP/2.0/UDP a:",
        "SIP/2.0/UDP 2001:db8::1",
        "SIP/2.0/UDP 192.0.2.15;;,;,,",
        "SIP/2.0/UDP a;x=",
        'SIP/2.0/UDP a;x="y',
        "SIP/2.0/UDP a, SIP/2.0/UDP b",
        "SIP/2.0/UDP <a>",
        "SIP/2.0/UDP -",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(ParseError, match="Via"):
        Via.parse(text)


@pytest.mark.parametrize(
    ("params", "branch"),
    [
        ("", ""),
        (";branch=z9hG4bK1", "z9hG4bK1"),
        (";BRANCH = z9hG4bK1 ;x", "z9hG4bK1"),
        (";branch=z9hG4bK", ""),
        (";branch=390skdjuw", "390skdjuw"),
        (";branch", ""),
    ],
)
def test_branch(params: str, branch: str) -> None:
    assert Via.parse(f"SIP/2.0/UDP a{params}").branch == branch


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("SIP/2.0/UDP a.example.com", ("a.example.com", 5060)),
        ("SIP/2.0/UDP 192.0.2.1:5070", ("192.0.2.1", 5070)),
        ("SIP/2.0/UDP a:5070;received=192.0.2.9", ("192.0.2.9", 5070)),
        ("SIP/2.0/UDP a:5070;received=192.0.2.9;rport=6000", ("192.0.2.9", 6000)),
        ("SIP/2.0/UDP a:5070;rport=6000", ("a", 6000)),
        ("SIP/2.0/TCP a:5070;received=192.0.2.9;rport=6000", ("192.0.2.9", 5070)),
        ("SIP/2.0/TCP a:5070;maddr=192.0.2.20", ("a", 5070)),
        ("SIP/2.0/UDP a:5070;received=192.0.2.9;rport", ("192.0.2.9", 5070)),
        ("SIP/2.0/UDP a:5070;received=192.0.2.9;rport=0", ("192.0.2.9", 5070)),
        ("SIP/2.0/UDP a:5070;received=192.0.2.9;rport=65536", ("192.0.2.9", 5070)),
        ("SIP/2.0/UDP a:5070;maddr=192.0.2.20;received=192.0.2.9;rport=6000", ("192.0.2.20", 5070)),
        ("SIP/2.0/UDP a;maddr=[2001:db8::9]", ("2001:db8::9", 5060)),
        ("SIP/2.0/UDP a;received=2001:db8::9", ("2001:db8::9", 5060)),
        ("SIP/2.0/UDP a;received=[2001:db8::9]", ("2001:db8::9", 5060)),
        ("SIP/2.0/UDP [2001:db8::1]:5070", ("2001:db8::1", 5070)),
    ],
)
def test_where_a_response_goes(text: str, address: Address) -> None:
    assert Via.parse(text).reply_to == address


# RFC 3261 section 18.2.1 and RFC 3581 section 4: what came, what is passed on, where the response goes.
ARRIVED = [
    ("SIP/2.0/UDP 198.51.100.7:40000;branch=z1", "SIP/2.0/UDP 198.51.100.7:40000;branch=z1", SOURCE),
    ("SIP/2.0/UDP 198.51.100.7;branch=z1", "SIP/2.0/UDP 198.51.100.7;branch=z1", ("198.51.100.7", 5060)),
    ("SIP/2.0/UDP a.example.com;branch=z1", "SIP/2.0/UDP a.example.com;branch=z1;received=198.51.100.7", ("198.51.100.7", 5060)),
    ("SIP/2.0/UDP 192.0.2.1:5070", "SIP/2.0/UDP 192.0.2.1:5070;received=198.51.100.7", ("198.51.100.7", 5070)),
    ("SIP/2.0/UDP 198.51.100.7;rport;branch=z1", "SIP/2.0/UDP 198.51.100.7;rport=40000;branch=z1;received=198.51.100.7", SOURCE),
    ("SIP/2.0/UDP 198.51.100.7;branch=z1;rport", "SIP/2.0/UDP 198.51.100.7;branch=z1;rport=40000;received=198.51.100.7", SOURCE),
    ("SIP/2.0/UDP 10.0.0.1;branch=z1;RPORT", "SIP/2.0/UDP 10.0.0.1;branch=z1;rport=40000;received=198.51.100.7", SOURCE),
    ("SIP/2.0/UDP 10.0.0.1;rport=1;branch=z1", "SIP/2.0/UDP 10.0.0.1;rport=40000;branch=z1;received=198.51.100.7", SOURCE),
    ("SIP/2.0/UDP 10.0.0.1; rport ;branch=z1", "SIP/2.0/UDP 10.0.0.1;rport=40000 ;branch=z1;received=198.51.100.7", SOURCE),
    ("SIP/2.0/UDP a;received=192.0.2.66;branch=z1", "SIP/2.0/UDP a;branch=z1;received=198.51.100.7", ("198.51.100.7", 5060)),
    ("SIP/2.0/UDP 198.51.100.7;received=192.0.2.66", "SIP/2.0/UDP 198.51.100.7;received=198.51.100.7", ("198.51.100.7", 5060)),
    ("SIP/2.0/UDP a;received = 192.0.2.66;received=192.0.2.67", "SIP/2.0/UDP a;received=198.51.100.7", ("198.51.100.7", 5060)),
    ("SIP/2.0/UDP a;maddr=192.0.2.20;branch=z1", "SIP/2.0/UDP a;maddr=192.0.2.20;branch=z1;received=198.51.100.7", ("192.0.2.20", 5060)),
    ("SIP / 2.0 / UDP\r\n a ;branch=z1", "SIP / 2.0 / UDP\r\n a ;branch=z1;received=198.51.100.7", ("198.51.100.7", 5060)),
    ("SIP/2.0/UDP a;x-rport=1;branch=rport", "SIP/2.0/UDP a;x-rport=1;branch=rport;received=198.51.100.7", ("198.51.100.7", 5060)),
]


@pytest.mark.parametrize(("value", "passed_on", "reply_to"), ARRIVED)
def test_received_and_rport(value: str, passed_on: str, reply_to: Address) -> None:
    assert arrived(value, SOURCE) == (passed_on, reply_to)
    Via.parse(passed_on)


def test_an_ipv6_source_that_says_so_needs_no_received() -> None:
    source = ("2001:db8::1", 40000)
    assert arrived("SIP/2.0/UDP [2001:DB8::1]:5070", source) == ("SIP/2.0/UDP [2001:DB8::1]:5070", ("2001:db8::1", 5070))
    assert arrived("SIP/2.0/UDP a;rport", source) == ("SIP/2.0/UDP a;rport=40000;received=2001:db8::1", source)


def test_a_malformed_via_does_not_arrive() -> None:
    with pytest.raises(ParseError, match="Malformed Via"):
        arrived("SIP/2.0/UDP a;;", SOURCE)


def test_text() -> None:
    assert str(Via.parse("SIP / 2.0 / udp a : 5070 ;branch=z1;x")) == "SIP/2.0/UDP a:5070 ;branch=z1;x"


@pytest.mark.parametrize(("host", "without"), [("[::1]", "::1"), ("::1", "::1"), ("a.example.com", "a.example.com"), ("", "")])
def test_bare(host: str, without: str) -> None:
    assert bare(host) == without


@pytest.mark.parametrize(("host", "inside"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("a.example.com", "a.example.com")])
def test_bracketed(host: str, inside: str) -> None:
    assert bracketed(host) == inside


@pytest.mark.parametrize(("protocol", "port"), [("UDP", 5060), ("TCP", 5060), ("TLS", 5061), ("WS", 80), ("WSS", 443), ("SCTP", 5060)])
def test_default_port(protocol: str, port: int) -> None:
    assert default_port(protocol) == port
