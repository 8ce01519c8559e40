"""The expression for the usual request and the general way give the same result, whatever the request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sip import usual
from proxy.sip.errors import ParseError
from proxy.sip.framing import parse_message
from proxy.sip.message import Request
from proxy.sip.validation import check_request

SOURCE = ("127.0.0.1", 4444)
FIELDS = {
    "Via": ["SIP/2.0/UDP 127.0.0.1:4444;branch=z9hG4bK1", "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.0.1:5060;branch=x"],
    "From": ['"u" <sip:alice@example.com>;tag=1', "<sip:alice@example.com>;tag=1", '"" <tel:+1>'],
    "To": ["<sip:bob@example.com>", '"b"<sip:bob@example.com>;tag=2'],
    "Call-ID": ["1@127.0.0.1", ""],
    "CSeq": ["1 MESSAGE", "0042 MESSAGE"],
    "Max-Forwards": ["70", "0"],
    "X-Any": ["a", ""],
    "Content-Length": ["5", "   5"],
}
ODD = {
    "Via": [
        "SIP/2.0/UDP 127.0.0.1:99999;branch=1",
        "SIP/2.0/UDP h.example;branch=1;rport",
        "SIP/2.0/UDP 127.0.0.1;;",
        "SIP/2.0/UDP 1.1.1.1:0;branch=1",
    ],
    "From": ['"u <sip:a@b>;tag=1', "sip:alice@example.com;tag=1", "<sip:a b@c>;tag=1", "<sip:a@b>;tag=", "<sip:a@b>;tag=1 "],
    "To": ["<sip:bob@example.com", "sip:b", "<sip:bob@example.com>;x=1;tag=2", "<sip:bob@example.com>\r\n ;tag=2"],
    "Call-ID": ["a\rb", "a\nb", "x\r\n y"],
    "CSeq": ["1 OPTIONS", "x MESSAGE", "4294967296 MESSAGE", "1  MESSAGE", "1MESSAGE"],
    "Max-Forwards": ["256", "-1", "300", "255"],
    "X-Any": ["a\r\n folded: b", "\N{SNOWMAN}"],
    "Content-Length": ["4", "6", "-5", "5 5", "99999999999"],
}
METHODS = ["MESSAGE", "M!x", "message"]
URIS = ["sip:bob@example.com", "sips:b.example:5061", "sip:bob@example.com;lr", "tel:+1", "soap.beep://x", "sip:a@b?x=y", "<sip:a@b>"]


def request(values: dict[str, str], method: str = "MESSAGE", uri: str = "sip:bob@example.com") -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in values.items())
    return f"{method} {uri} SIP/2.0\r\n{head}\r\nhello".encode()


def outcome(data: bytes) -> object:
    """Everything that is to be known of a message after parsing and checking it."""
    try:
        message = parse_message(data)
        assert isinstance(message, Request)
        reply_to = check_request(message, SOURCE)
    except ParseError as error:
        return error.status_code, error.reason
    return (
        bytes(message),
        reply_to,
        message.method,
        message.request_uri,
        (str(message.from_), message.from_.tag),
        (str(message.to), message.to.tag, message.has_to_tag),
        message.body,
    )


@pytest.fixture(autouse=True)
def no_expressions() -> Iterator[None]:
    kept = dict(usual.USUAL)
    usual.USUAL.clear()
    yield
    usual.USUAL.clear()
    usual.USUAL.update(kept)


def teach() -> None:
    """See the shape often enough for it to get its expression."""
    plain = request({name: values[0] for name, values in FIELDS.items()})
    for _ in range(300):
        parse_message(plain)
    assert parse_message(plain).parts is not None


@given(
    values=st.fixed_dictionaries({name: st.sampled_from(FIELDS[name]) | st.sampled_from(ODD[name]) for name in FIELDS}),
    method=st.sampled_from(METHODS),
    uri=st.sampled_from(URIS),
)
def test_both_ways_agree(values: dict[str, str], method: str, uri: str) -> None:
    data = request(values, method, uri)
    usual.USUAL.clear()
    generally = outcome(data)
    teach()
    assert outcome(data) == generally


@pytest.mark.parametrize("name", FIELDS)
def test_each_odd_value_alone_agrees(name: str) -> None:
    plain = {name: values[0] for name, values in FIELDS.items()}
    for value in FIELDS[name] + ODD[name]:
        data = request({**plain, name: value})
        usual.USUAL.clear()
        generally = outcome(data)
        teach()
        assert outcome(data) == generally


def test_the_usual_form_is_taken() -> None:
    teach()
    message = parse_message(request({name: values[0] for name, values in FIELDS.items()}))
    assert message.parts is not None
    assert message.parts["host"] == b"127.0.0.1"


def test_an_edit_ends_the_usual_form() -> None:
    teach()
    message = parse_message(request({name: values[0] for name, values in FIELDS.items()})).copy()
    message.replace(message.index(b"to"), "<sip:carol@example.com>;tag=9")
    assert message.to.uri == "sip:carol@example.com"
    assert message.has_to_tag


@pytest.mark.parametrize("missing", ["Via", "From", "Content-Length"])
def test_a_shape_without_what_is_needed_gets_no_expression(missing: str) -> None:
    data = request({name: values[0] for name, values in FIELDS.items() if name != missing})
    for _ in range(300):
        parse_message(data)
    assert not usual.USUAL
