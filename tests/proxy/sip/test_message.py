"""Messages are bytes first: what is not edited leaves as it came."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.sip.errors import ParseError
from proxy.sip.framing import parse_message
from proxy.sip.message import Message, Request, Response

HEAD = b"INVITE sip:bob@example.com SIP/2.0\r\n"
ODD = (
    HEAD + b"vIA  : SIP/2.0/UDP a.example.com;branch=z9hG4bK1 ,\r\n"
    b"  SIP/2.0/TCP b.example.com\r\n"
    b"v:SIP/2.0/UDP c.example.com\r\n"
    b"X-Unknown:   spaces   inside  \r\n"
    b"f: Alice <sip:alice@example.com>;tag=1\r\n"
    b"x-unknown: again\r\n"
    b"TO\t:\r\n"
    b"\tno colon in this fold\r\n"
    b"  <sip:bob@example.com>\r\n"
    b"Subject:\r\n"
    b"Latin-1: caf\xe9\r\n"
    b"i: c1\r\n"
    b"cseq: 7\tINVITE\r\n"
    b"l: 6\r\n"
    b"\r\n"
    b"\x00\xff\r\n\r\n"
)


def request_of(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def lines_of(*lines: bytes) -> bytes:
    return HEAD + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def test_order_spelling_repeats_folds_and_bodies_survive() -> None:
    assert bytes(parse_message(ODD)) == ODD


def test_an_edit_changes_its_line_alone() -> None:
    message = request_of(ODD)
    message.replace(message.index(b"subject"), "hello")
    assert bytes(message) == ODD.replace(b"Subject:\r\n", b"Subject: hello\r\n")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b"via", ["SIP/2.0/UDP a.example.com;branch=z9hG4bK1 , SIP/2.0/TCP b.example.com", "SIP/2.0/UDP c.example.com"]),
        (b"x-unknown", ["spaces   inside", "again"]),
        (b"to", [" no colon in this fold <sip:bob@example.com>".strip()]),
        (b"subject", [""]),
        (b"latin-1", ["caf\udce9"]),
        (b"content-length", ["6"]),
        (b"absent", []),
    ],
)
def test_fields_are_read_by_canonical_name_with_folds_undone(name: bytes, values: list[str]) -> None:
    message = parse_message(ODD)
    assert message.fields(name) == values
    assert message.value(name) == (values[0] if values else None)


def test_values_of_a_list_come_from_every_line() -> None:
    assert parse_message(ODD).values(b"via") == [
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
        "SIP/2.0/TCP b.example.com",
        "SIP/2.0/UDP c.example.com",
    ]


@pytest.mark.parametrize(
    ("compact", "long"),
    [
        ("a", "accept-contact"),
        ("b", "referred-by"),
        ("c", "content-type"),
        ("d", "request-disposition"),
        ("e", "content-encoding"),
        ("f", "from"),
        ("i", "call-id"),
        ("j", "reject-contact"),
        ("k", "supported"),
        ("l", "content-length"),
        ("m", "contact"),
        ("n", "identity-info"),
        ("o", "event"),
        ("r", "refer-to"),
        ("s", "subject"),
        ("t", "to"),
        ("u", "allow-events"),
        ("v", "via"),
        ("x", "session-expires"),
        ("y", "identity"),
    ],
)
def test_compact_forms(compact: str, long: str) -> None:
    for spelling in (compact, compact.upper(), f"{compact} ", long, long.title()):
        message = parse_message(lines_of(f"{spelling}: 0".encode()))
        assert message.raw(long.encode()) == b"0"


@pytest.mark.parametrize(
    ("line", "number", "method"),
    [
        (b"CSeq: 1 INVITE", 1, "INVITE"),
        (b"CSeq: 0042   INVITE", 42, "INVITE"),
        (b"CSeq: 7\tINVITE", 7, "INVITE"),
        (b"CSeq: 9\r\n  INVITE", 9, "INVITE"),
        (b"CSeq:2147483647 X", 2147483647, "X"),
    ],
)
def test_cseq(line: bytes, number: int, method: str) -> None:
    assert parse_message(lines_of(line)).cseq == (number, method)


@pytest.mark.parametrize(
    "line", [b"X: 1", b"CSeq: INVITE", b"CSeq: 1", b"CSeq: -1 INVITE", b"CSeq: 1 2 3", b"CSeq: " + b"9" * 5000 + b" INVITE"]
)
def test_a_broken_cseq_is_a_parse_error(line: bytes) -> None:
    with pytest.raises(ParseError, match="Malformed CSeq"):
        _ = parse_message(lines_of(line)).cseq


@pytest.mark.parametrize(
    ("start_line", "reason"),
    [
        (b"INVITE sip:bob@example.com", "Malformed Request-Line"),
        (b"INVITE  sip:bob@example.com SIP/2.0", "Malformed Request-Line"),
        (b"INVITE sip:bob@example.com SIP/2.0 ", "Malformed Request-Line"),
        (b" INVITE sip:bob@example.com SIP/2.0", "Malformed"),
        (b"INVITE\tsip:bob@example.com\tSIP/2.0", "Malformed Request-Line"),
        (b"INV(TE sip:bob@example.com SIP/2.0", "Malformed method"),
        (b" sip:bob@example.com SIP/2.0", "Malformed method"),
        (b"INVITE sip:bob@example.com HTTP/1.1", "Malformed SIP-Version"),
        (b"INVITE sip:bob@example.com SIP/2.0.0", "Malformed SIP-Version"),
        (b"INVITE sip:bob@example.com SIP/", "Malformed SIP-Version"),
        (b"GET / HTTP/1.1", "Malformed SIP-Version"),
        (b"", "Malformed Request-Line"),
        (b"SIP/2.0 99 Low", "Status code out of range"),
        (b"SIP/2.0 700 High", "Status code out of range"),
        (b"SIP/2.0 20 Short", "Status code out of range"),
        (b"SIP/2.0 2000 Long", "Status code out of range"),
        (b"SIP/2.0 \xb2\xb20 Digits of Unicode", "Status code out of range"),
        (b"SIP/3.0 200 OK", "Version Not Supported"),
        (b"SIP/" + b"2" * 5000 + b".0 200 OK", "Version Not Supported"),
    ],
)
def test_a_broken_start_line_is_a_parse_error(start_line: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse_message(start_line + b"\r\nX: y\r\n\r\n")


@pytest.mark.parametrize("version", [b"SIP/2.1", b"SIP/1.0", b"SIP/7.0", b"SIP/02.0", b"SIP/" + b"9" * 5000 + b".0"])
def test_another_version_is_read_to_be_refused(version: bytes) -> None:
    assert not request_of(b"INVITE sip:bob@example.com " + version + b"\r\nX: y\r\n\r\n").version_ok


def test_the_version_is_read_in_any_case() -> None:
    assert request_of(b"INVITE sip:bob@example.com sip/2.0\r\nX: y\r\n\r\n").version_ok


@pytest.mark.parametrize(
    ("start_line", "code", "phrase"),
    [
        (b"SIP/2.0 200 OK", 200, "OK"),
        (b"SIP/2.0 100 ", 100, ""),
        (b"SIP/2.0 699", 699, ""),
        (b"sip/2.0 404 Not  Found ", 404, "Not  Found "),
        ("SIP/2.0 200 добро".encode(), 200, "добро"),
        (b"SIP/2.0 200 \xff", 200, "\udcff"),
    ],
)
def test_status_lines(start_line: bytes, code: int, phrase: str) -> None:
    data = start_line + b"\r\nX: y\r\n\r\n"
    message = parse_message(data)
    assert isinstance(message, Response)
    assert (message.status_code, message.reason_phrase) == (code, phrase)
    assert bytes(message) == data


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"X: a\nEvil: b\r\n", "Line end"),
        (b"X: a\rEvil: b\r\n", "Line end"),
        (b"X: a\r\r\n", "Line end"),
        (b"X: a\n\r\n", "Line end"),
        (b"\rX: a\r\n", "Line end"),
        (b"no colon\r\n", "Header field without a name"),
        (b": no name\r\n", "Header field without a name"),
        (b" X: folds the start line\r\n", "Malformed"),
        (b"a b: c\r\n", "Malformed header field name"),
        (b"a\x00: c\r\n", "Malformed header field name"),
        (b"caf\xe9: c\r\n", "Malformed header field name"),
    ],
)
def test_a_head_that_two_readers_could_read_differently_is_refused(head: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse_message(HEAD + head + b"\r\n")


def test_what_could_be_read_of_a_broken_head_comes_with_the_error() -> None:
    with pytest.raises(ParseError) as caught:
        parse_message(HEAD + b"Via: SIP/2.0/UDP a\r\nbroken\r\nCall-ID: c1\r\n\r\n")
    assert caught.value.message is not None
    assert caught.value.message.lines == [b"Via: SIP/2.0/UDP a", b"Call-ID: c1"]


@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n"])
def test_a_head_without_its_empty_line_is_refused(end: bytes) -> None:
    with pytest.raises(ParseError, match=r"No empty line|Line end") as caught:
        parse_message(HEAD + b"X: y" + end)
    assert caught.value.message is not None


def test_no_header_fields_at_all() -> None:
    assert bytes(parse_message(HEAD + b"\r\n")) == HEAD + b"\r\n"


def test_a_copy_is_edited_alone() -> None:
    message = request_of(ODD)
    twin = message.copy()
    twin.append("X-New", "1")
    twin.set_request_uri("sip:carol@example.com")
    assert bytes(message) == ODD
    assert bytes(twin).startswith(b"INVITE sip:carol@example.com SIP/2.0\r\n")
    assert b"\r\nl: 6\r\nX-New: 1\r\n\r\n" in bytes(twin)


def test_edits() -> None:
    message = request_of(lines_of(b"X-A: 1", b"X-B: 2", b"x-a: 3", b"From: <sip:x@y>;tag=1"))
    assert message.from_.tag == "1"
    message.insert(0, "Via", "SIP/2.0/UDP here")
    message.replace(message.index(b"from"), "<sip:x@y>;tag=2")
    assert message.remove("X-A") == 2
    assert message.remove("X-A") == 0
    message.delete(message.index(b"x-b"))
    message.append("c", "text/plain")
    assert message.from_.tag == "2"
    assert message.raw(b"content-type") == b"text/plain"
    assert bytes(message) == lines_of(b"Via: SIP/2.0/UDP here", b"From: <sip:x@y>;tag=2", b"c: text/plain")


INJECTIONS = ["a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "\r\n\r\nbody", "a\r\n"]


@pytest.mark.parametrize("value", INJECTIONS)
def test_a_line_end_in_a_value_is_refused(value: str) -> None:
    message = request_of(ODD)
    edits: tuple[Callable[[], object], ...] = (
        lambda: message.append("X", value),
        lambda: message.insert(0, "X", value),
        lambda: message.replace(0, value),
        lambda: message.set_request_uri(value),
    )
    for edit in edits:
        with pytest.raises(ValueError, match=r"line end|Request-URI"):
            edit()
    assert bytes(message) == ODD


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "caf\xe9", "a\x00"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    message = request_of(ODD)
    with pytest.raises(ValueError, match="no name of a header field"):
        message.append(name, "x")
    assert bytes(message) == ODD


@pytest.mark.parametrize("uri", ["", "sip:a b", "sip:a\r\n", "sip:a\tb"])
def test_a_request_uri_that_could_not_stand_in_a_start_line_is_refused(uri: str) -> None:
    message = request_of(ODD)
    with pytest.raises(ValueError, match="cannot be a Request-URI"):
        message.set_request_uri(uri)
    assert bytes(message) == ODD


def test_a_folded_value_may_be_replaced_by_a_folded_one() -> None:
    message: Message = parse_message(lines_of(b"Via: SIP/2.0/UDP a,\r\n SIP/2.0/UDP b"))
    message.replace(0, "SIP/2.0/UDP a;received=192.0.2.1,\r\n SIP/2.0/UDP b")
    assert message.values(b"via") == ["SIP/2.0/UDP a;received=192.0.2.1", "SIP/2.0/UDP b"]


def test_many_messages_of_many_shapes_are_told_apart() -> None:
    """Whatever is remembered of the names of one message does not leak into the next."""
    for count in (1, 2, 3, 2, 1, 70, 2000, 70):
        for name in (b"A", b"Via", b"v", b"VIA"):
            message = parse_message(lines_of(*[name + b": %d" % number for number in range(count)]))
            canonical = b"a" if name == b"A" else b"via"
            key = b"accept-contact" if canonical == b"a" else canonical
            assert message.fields(key) == [str(number) for number in range(count)]
    one, other = parse_message(lines_of(b"Via: 1", b"To: 2")), parse_message(lines_of(b"Via: 1", b"Too: 2"))
    assert one.raw(b"to") == b"2"
    assert other.raw(b"to") is None
