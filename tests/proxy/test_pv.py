"""Pseudo-variables, each with the value that Kamailio 5.6.3 gives for the same request."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

import mqueue
from proxy import pv
from proxy.errors import PseudoVariableError
from proxy.pv import Value
from proxy.request import Request
from tests.proxy.wire import MESSAGE, SOURCE, edited, request_of

INVITE = (
    b"INVITE sip:Bob:pw@Example.com;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1\r\n"
    b'From: "A \\"b\\" c" <sip:alice@atlanta.com:5062;p=1>;tag=ft1;x=y\r\n'
    b"To: sip:bob@biloxi.com;user=phone\r\n"
    b"Call-ID: c1@198.51.100.7\r\n"
    b"CSeq: 0042   INVITE\r\n"
    b"Contact: <sip:a@1.2.3.4>, <sip:b@1.2.3.4>\r\n"
    b"Contact: <sip:c@1.2.3.4>\r\n"
    b"User-Agent: ua/1\r\n"
    b"X-A: one\r\n"
    b"X-A:   two  \r\n  folded\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
FOLDED = "two  \r\n  folded"

TABLE: list[tuple[str, Value]] = [
    ("$rm", "INVITE"),
    ("$ru", "sip:Bob:pw@Example.com;transport=udp"),
    ("$rU", "Bob"),
    ("$rd", "Example.com"),
    ("$rp", "5060"),
    ("$fu", "sip:alice@atlanta.com:5062;p=1"),
    ("$fU", "alice"),
    ("$fd", "atlanta.com"),
    ("$fn", r'"A \"b\" c"'),
    ("$ft", "ft1"),
    ("$tu", "sip:bob@biloxi.com"),
    ("$tU", "bob"),
    ("$td", "biloxi.com"),
    ("$tn", None),
    ("$tt", None),
    ("$ci", "c1@198.51.100.7"),
    ("$cs", "0042"),
    ("$si", SOURCE[0]),
    ("$sp", SOURCE[1]),
    ("$Ri", "192.0.2.254"),
    ("$Rp", 5060),
    ("$proto", "udp"),
    ("$ua", "ua/1"),
    ("$ct", "<sip:a@1.2.3.4>, <sip:b@1.2.3.4>"),
    ("$rb", ""),
    ("$rs", None),
    ("$rr", None),
    ("$mb", INVITE.decode()),
    ("$ml", len(INVITE)),
    ("$hdr(X-A)", "one"),
    ("$hdr(x-none)", None),
    ("$hdr(v)", "SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1"),
    ("$hdr(VIA)", "SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bKa1"),
    ("$(hdr(X-A)[0])", "one"),
    ("$(hdr(X-A)[1])", FOLDED),
    ("$(hdr(X-A)[-1])", FOLDED),
    ("$(hdr(X-A)[-2])", "one"),
    ("$(hdr(X-A)[2])", None),
    ("$(hdr(X-A)[-3])", None),
    ("$(hdr(X-A)[*])", f"one,{FOLDED}"),
    ("$(hdr(X-None)[*])", None),
    ("$(rm)", "INVITE"),
    ("$(hdr(X-A))", "one"),
]


@pytest.fixture
def queue() -> Iterator[str]:
    mqueue.queues.clear()
    mqueue.define("name=q")
    yield "q"
    mqueue.queues.clear()


@pytest.mark.parametrize(("name", "value"), TABLE, ids=[name for name, _ in TABLE])
def test_value(name: str, value: Value) -> None:
    found = request_of(INVITE).pv(name)
    assert found == value
    assert type(found) is type(value)


def test_every_row_of_the_table_is_tested() -> None:
    tested = {match[1] for name, _ in TABLE if (match := re.match(r"\$\(?(\w+)", name))}
    assert set(pv._PLAIN) - tested == {"TS", "TF"}
    assert set(pv._WITH_ARGUMENT) - tested == {"mqk", "mqv", "mq_size"}


def test_time() -> None:
    request = request_of()
    before = int(time.time())
    stamp = request.pv("$TS")
    assert isinstance(stamp, int)
    assert before <= stamp <= time.time()
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \d{4}", str(request.pv("$TF")))


FROM, TO, URI = b"<sip:alice@example.com>;tag=f1", b"<sip:bob@example.com>", b"sip:bob@example.com SIP"


@pytest.mark.parametrize(
    ("edit", "values"),
    [
        ((TO, b"<tel:+12345>"), {"$tu": "tel:+12345", "$tU": "+12345", "$td": None}),
        ((TO, b"<tel:+12345;phone-context=x>"), {"$tU": "+12345"}),
        ((FROM, b"<sip:1.2.3.4>"), {"$fU": None, "$ft": None, "$fd": "1.2.3.4"}),
        ((FROM, b"Alice <sip:a@b>"), {"$fn": "Alice"}),
        ((FROM, b"<sip:a@[2001:db8::1]:5070>"), {"$fd": "[2001:db8::1]"}),
        ((FROM, b"<mailto:a@b>"), {"$fu": "mailto:a@b", "$fU": None, "$fd": None}),
        ((URI, b"sip:example.com:5080 SIP"), {"$rU": None, "$rp": "5080"}),
        ((URI, b"sips:example.com SIP"), {"$rp": "5061"}),
        ((URI, b"tel:+12345 SIP"), {"$rU": "+12345", "$rd": None, "$rp": None}),
        ((b"CSeq: 1 ", b"CSeq: 1\t"), {"$cs": "1"}),
        ((b"CSeq: 1 ", b"CSeq:\r\n 1\r\n "), {"$cs": "1"}),
        ((b"CSeq: 1 ", b"CSeq: 1 "), {"$rb": "hi", "$ua": None, "$ct": None}),
        ((b"\r\n\r\nhi", b"\r\n\r\n\xff\x00"), {"$rb": "\udcff\x00"}),
        ((b"From:", b"Subject:\r\nFrom:"), {"$hdr(s)": "", "$(hdr(Subject)[*])": None}),
    ],
)
def test_value_of_another_request(edit: tuple[bytes, bytes], values: dict[str, Value]) -> None:
    request = request_of(edited(MESSAGE, edit))
    assert {name: request.pv(name) for name in values} == values


def test_a_changed_request_uri_shows() -> None:
    request = request_of()
    request.request_uri = "sip:carol@example.org:5099"
    assert request.expand("$ru $rU $rd $rp") == "sip:carol@example.org:5099 carol example.org 5099"


def test_queue_variables(queue: str) -> None:
    request = request_of()
    values: list[Value] = [request.pv("$mqk(q)"), request.pv("$mqv(q)"), request.pv("$mq_size(q)")]
    mqueue.mq_add("q", "key", "value")
    mqueue.mq_add("q", "", "")
    values += [request.pv("$mq_size(q)"), mqueue.mq_fetch("q"), request.pv("$mqk(q)"), request.pv("$mqv(q)")]
    values += [request.pv("$mq_size(q)"), mqueue.mq_fetch("q"), request.pv("$mqk(q)"), request.pv("$mqv(q)")]
    assert values == [None, None, 0, 2, 1, "key", "value", 1, 1, None, None]


def test_queue_variables_of_an_unknown_queue(queue: str) -> None:
    assert [request_of().pv(f"${name}(nope)") for name in ("mqk", "mqv", "mq_size")] == [None, None, None]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("", ""),
        ("no variables", "no variables"),
        ("call from $fU to $tU", "call from alice to bob"),
        ("$fU$tU", "alicebob"),
        ("$fU.$(tU)x", "alice.bobx"),
        ("$tt|$hdr(X-None)", "<null>|<null>"),
        ("$$ and $$fU", "$ and $fU"),
        ("$ml", str(len(MESSAGE))),
        ("$hdr(Call-ID) $(hdr(f)[0])", "c1@198.51.100.7 <sip:alice@example.com>;tag=f1"),
        ("{$rm}", "{MESSAGE}"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    assert request_of().expand(text) == expanded


MISTAKES = [
    ("$fX", "did you mean .*\\$fu"),
    ("$nothinglikeit", "there is no pseudo-variable"),
    ("$hdr", "wants an argument"),
    ("$hdr()", "wants an argument"),
    ("$hdr(a b)", "no header field name"),
    ("$proto_", "did you mean \\$proto"),
    ("$mqk", "wants an argument"),
    ("$fU(x)", "takes no argument"),
    ("$(fU[1])", "takes no argument"),
]


@pytest.mark.parametrize(("name", "words"), MISTAKES)
def test_a_mistake_says_what_is_meant(name: str, words: str) -> None:
    request = request_of()
    with pytest.raises(PseudoVariableError, match=words):
        request.pv(name)
    with pytest.raises(PseudoVariableError, match=words):
        request.expand(f"text {name} text")


@pytest.mark.parametrize("name", ["", "fU", "$", "$$", "$fU ", " $fU", "$(hdr(X)", "$(hdr(X)[a])", "$fU$tU", "$1"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(PseudoVariableError, match="is no pseudo-variable"):
        request_of().pv(name)


@pytest.mark.parametrize("text", ["$", "100 $", "$ fU", "$1", "$("])
def test_a_dollar_sign_that_starts_nothing(text: str) -> None:
    with pytest.raises(PseudoVariableError, match="starts no pseudo-variable"):
        request_of().expand(text)


def test_the_queues_that_a_text_names_are_known_without_running_it() -> None:
    assert pv.compile_text("$mqk(a) $fU $mq_size( b )").queues == ("a", "b")
    getter: Value = pv.compile_name("$rm").get(request_of())
    assert getter == "MESSAGE"
    assert isinstance(request_of(), Request)
