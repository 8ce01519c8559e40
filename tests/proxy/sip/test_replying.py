"""Responses are made of slices of the request."""

from __future__ import annotations

import pytest

from proxy.sip.framing import parse_message
from proxy.sip.names import REASON_PHRASES, reason_phrase
from proxy.sip.replying import rejection, response, status_line
from tests.proxy.wire import MESSAGE, edited, header_lines

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Record-Route: <sip:p2;lr>\r\n"
    b"v: SIP/2.0/UDP a ,\r\n SIP/2.0/UDP b\r\n"
    b"X: y\r\n"
    b"cseq  : 1\tINVITE\r\n"
    b"t: Bob\r\n <sip:bob@example.com> ;\r\n"
    b"Record-Route: <sip:p1;lr>\r\n"
    b"F: <sip:alice@example.com>;tag=f1\r\n"
    b"VIA: SIP/2.0/TCP c\r\n"
    b"Call-ID: c1\r\n"
    b"Content-Length: 3\r\n"
    b"\r\n"
    b"sdp"
)


def test_what_is_copied_keeps_its_order_and_spelling() -> None:
    assert response(parse_message(INVITE), b"SIP/2.0 404 Not Found", b"t1") == (
        b"SIP/2.0 404 Not Found\r\n"
        b"v: SIP/2.0/UDP a ,\r\n SIP/2.0/UDP b\r\n"
        b"cseq  : 1\tINVITE\r\n"
        b"t: Bob\r\n <sip:bob@example.com>;tag=t1\r\n"
        b"F: <sip:alice@example.com>;tag=f1\r\n"
        b"VIA: SIP/2.0/TCP c\r\n"
        b"Call-ID: c1\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


def test_record_route_is_copied_for_a_dialogue() -> None:
    data = response(parse_message(INVITE), b"SIP/2.0 200 OK", b"t1", with_record_route=True)
    routes = [line for line in header_lines(data) if line.startswith(b"Record-Route:")]
    assert routes == [b"Record-Route: <sip:p2;lr>", b"Record-Route: <sip:p1;lr>"]


def test_fields_and_body_follow() -> None:
    data = response(parse_message(MESSAGE), b"SIP/2.0 200 OK", b"", [b"Server: x", b"A: b"], b"\x00\r\n\r\n")
    assert data.endswith(b"\r\nServer: x\r\nA: b\r\nContent-Length: 5\r\n\r\n\x00\r\n\r\n")


@pytest.mark.parametrize(
    ("to", "answer"),
    [
        (b"To: <sip:b@c>", b"To: <sip:b@c>;tag=t1"),
        (b"To: sip:b@c", b"To: sip:b@c;tag=t1"),
        (b"To: <sip:b@c>;x=y", b"To: <sip:b@c>;x=y;tag=t1"),
        (b"To: <sip:b@c>;", b"To: <sip:b@c>;tag=t1"),
        (b"To: <sip:b@c;tag=9>", b"To: <sip:b@c;tag=9>;tag=t1"),
        (b"To: <sip:b@c>;tag=9", b"To: <sip:b@c>;tag=9"),
        (b"To: <sip:b@c>\r\n ; TAG = 9", b"To: <sip:b@c>\r\n ; TAG = 9"),
        (b'To: <sip:b@c>;x=";tag=9"', b'To: <sip:b@c>;x=";tag=9";tag=t1'),
        (b"To: broken <", b"To: broken <"),
    ],
)
def test_to_gets_a_tag_unless_it_has_one(to: bytes, answer: bytes) -> None:
    request = parse_message(edited(MESSAGE, (b"To: <sip:bob@example.com>", to)))
    assert b"\r\n" + answer + b"\r\n" in response(request, b"SIP/2.0 200 OK", b"t1")
    assert b"\r\n" + to + b"\r\n" in response(request, b"SIP/2.0 100 Trying", b"")


def test_the_request_is_not_changed() -> None:
    request = parse_message(INVITE)
    response(request, b"SIP/2.0 200 OK", b"t1")
    rejection(request, b"SIP/2.0 400 Bad Request", b"t1")
    assert bytes(request) == INVITE


def test_a_rejection_copies_the_first_of_what_may_stand_once() -> None:
    doubled = edited(
        MESSAGE,
        (b"To:", b"To: <sip:first@example.com>\r\nTo:"),
        (b"Via:", b"Via: SIP/2.0/UDP top\r\nVia:"),
        (b"Call-ID: c1@198.51.100.7\r\n", b""),
    )
    assert rejection(parse_message(doubled), b"SIP/2.0 400 Bad", b"t1", [b"Server: x"]) == (
        b"SIP/2.0 400 Bad\r\n"
        b"Via: SIP/2.0/UDP top\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
        b"From: <sip:alice@example.com>;tag=f1\r\n"
        b"To: <sip:first@example.com>;tag=t1\r\n"
        b"CSeq: 1 MESSAGE\r\n"
        b"Server: x\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


def test_a_rejection_without_to_has_none() -> None:
    data = rejection(parse_message(edited(MESSAGE, (b"To: <sip:bob@example.com>\r\n", b""))), b"SIP/2.0 400 Bad", b"t1")
    assert b"tag=t1" not in data
    assert data.startswith(b"SIP/2.0 400 Bad\r\nVia: ")


@pytest.mark.parametrize(
    ("code", "reason", "line"),
    [
        (200, None, b"SIP/2.0 200 OK"),
        (100, None, b"SIP/2.0 100 Trying"),
        (699, None, b"SIP/2.0 699 Busy Everywhere"),
        (299, None, b"SIP/2.0 299 OK"),
        (404, "", b"SIP/2.0 404 "),
        (404, "Nobody here", b"SIP/2.0 404 Nobody here"),
        (200, "добро", "SIP/2.0 200 добро".encode()),
    ],
)
def test_status_line(code: int, reason: str | None, line: bytes) -> None:
    assert status_line(code, reason) == line


@pytest.mark.parametrize(
    ("code", "reason"), [(99, None), (700, None), (0, None), (-200, None), (200, "OK\r\nX: y"), (200, "a\nb"), (200, "a\rb")]
)
def test_a_status_line_that_cannot_be(code: int, reason: str | None) -> None:
    with pytest.raises(ValueError, match=r"status code|line end"):
        status_line(code, reason)


def test_every_registered_phrase_can_stand_in_a_status_line() -> None:
    for code in REASON_PHRASES:
        assert status_line(code).endswith(reason_phrase(code).encode())
