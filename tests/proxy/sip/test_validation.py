"""What is refused before a route sees it, and what is let through."""

from __future__ import annotations

import pytest

from proxy.sip.errors import ParseError
from proxy.sip.framing import parse_message
from proxy.sip.message import Request, Response
from proxy.sip.validation import check_request, check_response, top_via_of
from proxy.sip.via import Address
from tests.proxy.wire import MESSAGE, SOURCE, edited

FROM = b"From: <sip:alice@example.com>;tag=f1\r\n"
TO = b"To: <sip:bob@example.com>\r\n"
CSEQ = b"CSeq: 1 MESSAGE\r\n"
VIA = b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
URI = b"sip:bob@example.com"
HOPS = b"Max-Forwards: 70\r\n"


def request_of(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


REFUSED = [
    ((b"SIP/2.0", b"SIP/2.1"), 505, "Version"),
    ((FROM, b""), 400, "Missing From"),
    ((TO, b""), 400, "Missing To"),
    ((VIA, b""), 400, "Missing Via"),
    ((CSEQ, b""), 400, "Missing CSeq"),
    ((b"Call-ID: c1@198.51.100.7\r\n", b""), 400, "Missing Call-ID"),
    ((FROM + TO, b""), 400, "Missing From, To"),
    ((FROM, FROM + FROM), 400, "More than one From"),
    ((TO, TO + b"t: <sip:x@y>\r\n"), 400, "More than one To"),
    ((CSEQ, CSEQ + CSEQ), 400, "More than one Cseq"),
    ((HOPS, HOPS + HOPS), 400, "More than one Max-Forwards"),
    ((b"Content-Length: 2", b"Content-Length: 2\r\nl: 1"), 400, "More than one Content-Length"),
    ((FROM, FROM + b"Expires: 1\r\nExpires: 1\r\n"), 400, "More than one Expires"),
    ((CSEQ, b"CSeq: 2147483648 MESSAGE\r\n"), 400, "Malformed CSeq"),
    ((CSEQ, b"CSeq: 36893488147419103232 MESSAGE\r\n"), 400, "Malformed CSeq"),
    ((CSEQ, b"CSeq: " + b"9" * 5000 + b" MESSAGE\r\n"), 400, "Malformed CSeq"),
    ((CSEQ, b"CSeq: -1 MESSAGE\r\n"), 400, "Malformed CSeq"),
    ((CSEQ, b"CSeq: MESSAGE\r\n"), 400, "Malformed CSeq"),
    ((CSEQ, b"CSeq: 1\r\n"), 400, "Malformed CSeq"),
    ((CSEQ, b"CSeq: 1 MESSAGE x\r\n"), 400, "Malformed CSeq"),
    ((CSEQ, b"CSeq: 1 INVITE\r\n"), 400, "Method"),
    ((CSEQ, b"CSeq: 1 message\r\n"), 400, "Method"),
    ((HOPS, b"Max-Forwards: 256\r\n"), 400, "Max-Forwards"),
    ((HOPS, b"Max-Forwards: -1\r\n"), 400, "Max-Forwards"),
    ((HOPS, b"Max-Forwards:\r\n"), 400, "Max-Forwards"),
    ((HOPS, b"Max-Forwards: " + b"9" * 5000 + b"\r\n"), 400, "Max-Forwards"),
    ((FROM, b"From: <sip:alice@example.com\r\n"), 400, "Malformed From"),
    ((TO, b'To: "Bob <sip:bob@example.com>\r\n'), 400, "Malformed To"),
    ((TO, b"To: <sip:a@b>, <sip:c@d>\r\n"), 400, "Malformed To"),
    ((URI, b"<sip:bob@example.com>"), 400, "Malformed Request-URI"),
    ((URI, b"bob"), 400, "Malformed Request-URI"),
    ((URI, b"sip:bob@example.com?Route=%3Csip:x%3E"), 400, "Header fields in the Request-URI"),
    ((URI, b"sip:bob@exa$mple.com"), 400, "Malformed SIP URI"),
    ((URI, b"sip:bob%zz@example.com"), 400, "Malformed SIP URI"),
    ((URI, b"sip:bob@example.com:99999"), 400, "Port"),
    ((URI, b"mailto:bob@example.com"), 416, "Scheme"),
    ((URI, b"nobodyKnowsThisScheme:totallyopaquecontent"), 416, "Scheme"),
    ((VIA, b"Via: SIP/2.0/UDP 198.51.100.7;;\r\n"), 400, "Malformed Via"),
    ((VIA, b"Via: SIP/2.0/UDP 198.51.100.7:0\r\n"), 400, "Port in Via"),
    ((VIA, b"Via: SIP/3.0/UDP 198.51.100.7\r\n"), 400, "Malformed Via"),
    ((VIA, b"Via:\r\n"), 400, "Malformed Via"),
]


@pytest.mark.parametrize(("edit", "status_code", "reason"), REFUSED)
def test_refused(edit: tuple[bytes, bytes], status_code: int, reason: str) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        check_request(request_of(edited(MESSAGE, edit)), SOURCE)
    assert caught.value.status_code == status_code


LET_THROUGH = [
    (MESSAGE[:7], MESSAGE[:7]),
    (b"SIP/2.0\r\n", b"sip/2.0\r\n"),
    (FROM, b"f : Alice <sip:alice@example.com>\r\n"),
    (TO, b"To: sip:bob@example.com;tag=1;x\r\n"),
    (CSEQ, b"CSeq: 2147483647 MESSAGE\r\n"),
    (CSEQ, b"CSeq:\r\n 0\r\n\tMESSAGE\r\n"),
    (HOPS, b""),
    (HOPS, b"Max-Forwards: 0\r\n"),
    (HOPS, b"Max-Forwards: 0255\r\n"),
    (URI, b"sip:bob"),
    (URI, b"sips:example.com"),
    (URI, b"SIP:bob@example.com;transport=tcp;x"),
    (URI, b"sip:[2001:db8::1]:5060"),
    (URI, b"sip:user;par=u%40example.net@example.com"),
    (URI, b"tel:+1-2;phone-context=example.com"),
    (URI, b"sip:bob@example.com:65535"),
    (FROM, FROM + b"Date: whenever\r\nContent-Type: /\r\nWarning: a\r\nWarning: b\r\n"),
    (b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"),
]


@pytest.mark.parametrize(("old", "new"), LET_THROUGH)
def test_let_through_as_it_came(old: bytes, new: bytes) -> None:
    data = edited(MESSAGE, (old, new))
    request = request_of(data)
    assert check_request(request, SOURCE) == SOURCE
    assert bytes(request) == data


@pytest.mark.parametrize(
    ("via", "stamped", "reply_to"),
    [
        (b"SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa1", b"SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa1;received=198.51.100.7", ("198.51.100.7", 5060)),
        (b"SIP/2.0/UDP 10.0.0.1;rport;branch=z1", b"SIP/2.0/UDP 10.0.0.1;rport=40000;branch=z1;received=198.51.100.7", SOURCE),
        (b"SIP/2.0/UDP a ,SIP/2.0/UDP b", b"SIP/2.0/UDP a;received=198.51.100.7 ,SIP/2.0/UDP b", ("198.51.100.7", 5060)),
        (b"SIP/2.0/UDP a,\r\n SIP/2.0/UDP b", b"SIP/2.0/UDP a;received=198.51.100.7,\r\n SIP/2.0/UDP b", ("198.51.100.7", 5060)),
        (b"SIP/2.0/UDP a,SIP/2.0/UDP a", b"SIP/2.0/UDP a;received=198.51.100.7,SIP/2.0/UDP a", ("198.51.100.7", 5060)),
    ],
)
def test_the_top_via_is_stamped_and_the_others_left_alone(via: bytes, stamped: bytes, reply_to: Address) -> None:
    below = b"v: SIP/2.0/UDP 192.0.2.99\r\n"
    data = edited(MESSAGE, (VIA, b"Via: " + via + b"\r\n" + below))
    request = request_of(data)
    assert check_request(request, SOURCE) == reply_to
    assert bytes(request) == edited(data, (via, stamped))


RESPONSE = edited(MESSAGE, (b"MESSAGE sip:bob@example.com SIP/2.0", b"SIP/2.0 200 OK"))


def test_a_response_shows_its_top_via() -> None:
    response = parse_message(RESPONSE)
    assert isinstance(response, Response)
    assert check_response(response).branch == "z9hG4bKa1"
    assert bytes(response) == RESPONSE


@pytest.mark.parametrize(
    "edit",
    [
        (VIA, b""),
        (VIA, b"Via: x\r\n"),
        (CSEQ, b"CSeq: 1\r\n"),
        (CSEQ, b"CSeq: 9292394834772304023312 OPTIONS\r\n"),
        (TO, b"To: <\r\n"),
        (TO, TO + TO),
    ],
)
def test_a_response_that_must_be_dropped(edit: tuple[bytes, bytes]) -> None:
    with pytest.raises(ParseError):
        check_response(parse_message(edited(RESPONSE, edit)))


@pytest.mark.parametrize(
    ("edit", "address"),
    [
        ((VIA, VIA), SOURCE),
        ((VIA, b"Via: SIP/2.0/UDP 10.0.0.1\r\n"), ("198.51.100.7", 5060)),
        ((VIA, b"Via: nonsense\r\n"), SOURCE),
        ((VIA, b""), None),
    ],
)
def test_where_the_answer_to_a_broken_request_goes(edit: tuple[bytes, bytes], address: Address | None) -> None:
    assert top_via_of(parse_message(edited(MESSAGE, edit)), SOURCE) == address
