"""SIP URIs, and when two are the same (RFC 3261 section 19.1.4)."""

from __future__ import annotations

import pytest

from proxy.sip.errors import ParseError
from proxy.sip.uri import SipUri, scheme

# The examples of the RFC, in its order, and some of its rules besides.
EQUAL = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    ("sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
    ("SIP:alice@atlanta.com", "sip:alice@atlanta.com"),
    ("sip:a%2fb@c", "sip:a%2Fb@c"),
    ("sip:[2001:DB8::1]", "sip:[2001:db8::1]"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@b", "sips:a@b"),
    ("sip:a@b", "sip:a:pw@b"),
    ("sip:a@b", "sip:b"),
    ("sip:a@b", "sip:a@b;maddr=192.0.2.1"),
    ("sip:a@b", "sip:a@b;ttl=1"),
    ("sip:a@b", "sip:a@b;user=phone"),
    ("sip:a@b", "sip:a@b;method=INVITE"),
    ("sip:a%2fb@c", "sip:a/b@c"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal(one: str, other: str) -> None:
    assert SipUri.parse(one).equals(SipUri.parse(other))
    assert SipUri.parse(other).equals(SipUri.parse(one))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one: str, other: str) -> None:
    assert not SipUri.parse(one).equals(SipUri.parse(other))
    assert not SipUri.parse(other).equals(SipUri.parse(one))


def test_equality_is_not_transitive() -> None:
    """The RFC says so itself: what two URIs lack each other's parameters for, they do not compare."""
    bare, on, off = (SipUri.parse(f"sip:carol@chicago.com{params}") for params in ("", ";security=on", ";security=off"))
    assert on.equals(bare)
    assert bare.equals(off)
    assert not on.equals(off)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sip:example.com", ("sip", None, None, "example.com", None, "", None)),
        ("sip:alice@example.com", ("sip", "alice", None, "example.com", None, "", None)),
        ("SIPS:alice:pw@Example.com:5061", ("sips", "alice", "pw", "Example.com", 5061, "", None)),
        ("sip:alice:@example.com", ("sip", "alice", "", "example.com", None, "", None)),
        ("sip:a@b;lr;x=y", ("sip", "a", None, "b", None, ";lr;x=y", None)),
        ("sip:a@b?Subject=x&Route=%3Csip:c%3E", ("sip", "a", None, "b", None, "", "Subject=x&Route=%3Csip:c%3E")),
        ("sip:[2001:db8::1]:5060;lr", ("sip", None, None, "[2001:db8::1]", 5060, ";lr", None)),
        ("sip:user;par=u%40example.net@example.com", ("sip", "user;par=u%40example.net", None, "example.com", None, "", None)),
        ("sip:a?b/c@example.com", ("sip", "a?b/c", None, "example.com", None, "", None)),
        ("sip:+1-212-555-1212:1234@gateway.com;user=phone", ("sip", "+1-212-555-1212", "1234", "gateway.com", None, ";user=phone", None)),
        ("sip:a_b.example.com", ("sip", None, None, "a_b.example.com", None, "", None)),
        ("sip:a%00b@example.com", ("sip", "a%00b", None, "example.com", None, "", None)),
    ],
)
def test_parts_and_text(text: str, parts: tuple[object, ...]) -> None:
    uri = SipUri.parse(text)
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers) == parts
    assert str(uri) == parts[0].__str__() + text[text.index(":") :]


@pytest.mark.parametrize(
    "text",
    [
        "sip:",
        "sip:@example.com",
        "sip:a@",
        "sip:a b@example.com",
        "sip:a@exam ple.com",
        "sip:a@example.com:",
        "sip:a@example.com:x",
        "sip:a@example.com:65536",
        "sip:a@example.com:999999",
        "sip:a@b@c",
        "sip:a@[::1",
        "sip:a@::1",
        "sip:a%4@b",
        "sip:a%zz@b",
        "sip:a@b;",
        'sip:a@b;x="y"',
        "sip:a@b>",
        "<sip:a@b>",
        "sip:a@-",
        "sip:caf\xe9@b",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        SipUri.parse(text)
    assert caught.value.status_code == (416 if text.startswith("<") else 400)


@pytest.mark.parametrize("text", ["tel:+12345", "http://example.com", "nobodyKnowsThisScheme:totallyopaquecontent", "example.com", ""])
def test_another_scheme_is_416(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        SipUri.parse(text)
    assert caught.value.status_code == 416


@pytest.mark.parametrize(
    ("text", "found"), [("SIP:x", "sip"), ("tel:+1", "tel"), ("a+b-c.d:x", "a+b-c.d"), ("1a:x", ""), ("", ""), ("sip", "")]
)
def test_scheme(text: str, found: str) -> None:
    assert scheme(text) == found


@pytest.mark.parametrize(
    ("text", "transport"),
    [
        ("sip:a@b", "UDP"),
        ("sip:a@b;transport=tcp", "TCP"),
        ("sip:a@b;Transport=Ws", "WS"),
        ("sips:a@b", "TLS"),
        ("sips:a@b;transport=tcp", "TLS"),
        ("sips:a@b;transport=wss", "WSS"),
        ("sip:a@b;transport", "UDP"),
    ],
)
def test_transport(text: str, transport: str) -> None:
    assert SipUri.parse(text).transport == transport


@pytest.mark.parametrize(("name", "value"), [("lr", ""), ("x", "y"), ("z", None), ("maddr", "192.0.2.1")])
def test_param(name: str, value: str | None) -> None:
    assert SipUri.parse("sip:a@b;LR;x=y;maddr=192.0.2.1").param(name) == value
