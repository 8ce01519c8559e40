"""From, To, Contact and Route values."""

from __future__ import annotations

import pytest

from proxy.sip.address import NameAddr
from proxy.sip.errors import ParseError
from proxy.sip.grammar import parse_params, split_values, unfold


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        ("<sip:a@b>", "", "sip:a@b", ""),
        ("<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", ";tag=1"),
        ("sip:a@b", "", "sip:a@b", ""),
        ("sip:a@b;tag=1;x", "", "sip:a@b", ";tag=1;x"),
        ("sip:a:pw@b:5060 ; tag = 1", "", "sip:a:pw@b:5060", " ; tag = 1"),
        ('"Alice" <sip:a@b>', '"Alice"', "sip:a@b", ""),
        ('"Alice"<sip:a@b>;tag=1', '"Alice"', "sip:a@b", ";tag=1"),
        ("caller<sip:a@b>", "caller", "sip:a@b", ""),
        ("Alice  B.  Carol   <sip:a@b>", "Alice  B.  Carol", "sip:a@b", ""),
        ("Alice\r\n <sip:a@b>\r\n ;tag=1", "Alice", "sip:a@b", "\r\n ;tag=1"),
        (r'"J \"R\" \\" <sip:a@b>', r'"J \"R\" \\"', "sip:a@b", ""),
        ('"<sip:fake@x>, " <sip:a@b>', '"<sip:fake@x>, "', "sip:a@b", ""),
        ('"" <sip:a@b>', '""', "sip:a@b", ""),
        ('<sip:a@b>;x="q;,>\\"";tag=1', "", "sip:a@b", ';x="q;,>\\"";tag=1'),
        ("<tel:+1-2;phone-context=x>", "", "tel:+1-2;phone-context=x", ""),
        ("tel:+12", "", "tel:+12", ""),
        ("<sip:a@b>;", "", "sip:a@b", ""),
        ("<sip:a@b>;expires=0;q=0.3", "", "sip:a@b", ";expires=0;q=0.3"),
        ("<sip:a@b?Route=%3Csip:c%3E>", "", "sip:a@b?Route=%3Csip:c%3E", ""),
    ],
)
def test_parts(text: str, display: str, uri: str, params: str) -> None:
    address = NameAddr.parse(text)
    assert (address.display, address.uri, address.params) == (display, uri, params)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "a@b",
        "<sip:a@b",
        "sip:a@b>",
        "<<sip:a@b>>",
        "<>",
        "< sip:a@b >",
        "<sip:a b@c>",
        '"Alice <sip:a@b>',
        '"Alice" B <sip:a@b>',
        'A"lice <sip:a@b>',
        "Bell, Alexander <sip:a@b>",
        "sip:a@b?x=y",
        "sip:a@b, sip:c@d",
        "<sip:a@b>, <sip:c@d>",
        "<sip:a@b> trailing",
        "<sip:a@b>;=x",
        "<sip:a@b>;x=",
        "<sip:a@b>;;x",
        '<sip:a@b>;x="y',
        "sip: a@b",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(ParseError, match="Malformed address"):
        NameAddr.parse(text)


@pytest.mark.parametrize(
    ("params", "tag"),
    [
        ("", None),
        (";tag=abc", "abc"),
        (";TAG=abc", "abc"),
        (" ; tag  =\r\n abc;x=y", "abc"),
        (";x=y;tag=z9.-!%*_+`'~", "z9.-!%*_+`'~"),
        (";nottag=1", None),
        (";tag", None),
        (";tagx=1", None),
    ],
)
def test_tag(params: str, tag: str | None) -> None:
    assert NameAddr.parse(f"<sip:a@b>{params}").tag == tag


@pytest.mark.parametrize("quoted", [';x=";tag=fake";tag=real', ';x="\\";tag=fake";tag=real'])
def test_a_tag_inside_quotes_is_none(quoted: str) -> None:
    assert NameAddr.parse(f"<sip:a@b>{quoted}").tag == "real"
    assert NameAddr.parse(f"<sip:a@b>{quoted}").param("tag") == "real"


def test_params_and_text() -> None:
    address = NameAddr.parse('Bob <sip:a@b;lr>;Tag=1;flag;q="x y"')
    assert [address.param(name) for name in ("tag", "flag", "q", "lr")] == ["1", "", '"x y"', None]
    assert str(address) == 'Bob <sip:a@b;lr>;Tag=1;flag;q="x y"'
    assert str(NameAddr.parse("sip:a@b;tag=1")) == "<sip:a@b>;tag=1"
    assert address.sip_uri.param("lr") == ""


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", [""]),
        ("a", ["a"]),
        (" a , b ", ["a", "b"]),
        ("a,,b", ["a", "", "b"]),
        ('"x,y" <sip:a@b>, <sip:c,d@e>', ['"x,y" <sip:a@b>', "<sip:c,d@e>"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        ('"never closed, b', ['"never closed, b']),
        ("<never closed, b", ["<never closed, b"]),
        ('a, "x\\', ["a", '"x\\']),
        ("a\r\n ,\r\n b", ["a", "b"]),
    ],
)
def test_split_values(text: str, values: list[str]) -> None:
    assert split_values(text) == values


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", "a"),
        ("a\r\n b", "a b"),
        ("a  \r\n\t  b", "a b"),
        ("a\r\n b\r\n c", "a b c"),
        ("a b", "a b"),
        ("\r\n a", " a"),
    ],
)
def test_unfold(text: str, line: str) -> None:
    assert unfold(text) == line


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        (";a", {"a": None}),
        (";A=1;a=2", {"a": "1"}),
        (" ; a = b ; c", {"a": "b", "c": None}),
        (';a="x;y=1";z', {"a": '"x;y=1"', "z": None}),
        (";received=2001:db8::1;maddr=[::1]", {"received": "2001:db8::1", "maddr": "[::1]"}),
    ],
)
def test_parse_params(text: str, params: dict[str, str | None]) -> None:
    assert parse_params(text) == params
