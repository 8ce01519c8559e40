"""Any bytes in: a Request, a Response or ParseError out, and a receiver that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz import properties
from tests.proxy.wire import MESSAGE, header_lines

TORTURE = sorted((Path(__file__).parent.parent.parent / "torture").glob("*.dat"))
MESSAGES = [MESSAGE, *(file.read_bytes() for file in TORTURE)]
PIECES = [
    b"\r\n",
    b"\r\n ",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b",",
    b";",
    b";;",
    b'"',
    b"\\",
    b"<",
    b">",
    b":",
    b"%",
    b" ",
    b"SIP/2.0",
    b"Via: SIP/2.0/UDP 192.0.2.254:5060;branch=z9hG4bKx\r\n",
    b"l: 1\r\n",
    b"Content-Length: " + b"9" * 5000 + b"\r\n",
    b"Max-Forwards: " + b"9" * 5000 + b"\r\n",
    b"Route: <sip:192.0.2.254;lr>\r\n",
    b"Route: ,\r\n",
    b"t: x\r\n",
    b";tag=",
    b";maddr=255.255.255.255",
    b";maddr=[::1",
    b";rport=99999",
    b";received=x",
    b":0",
    b"-1",
]

messages = st.sampled_from(MESSAGES)
places = st.floats(0, 1)
lively = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def bit_flipped(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(messages))
    for place, bit in draw(st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=5)):
        data[int(place * (len(data) - 1))] ^= 1 << bit
    return bytes(data)


@st.composite
def with_pieces(draw: st.DrawFn) -> bytes:
    data = draw(messages)
    for place, piece, cut in draw(st.lists(st.tuples(places, st.sampled_from(PIECES), st.integers(0, 20)), min_size=1, max_size=4)):
        at = int(place * len(data))
        data = data[:at] + piece + data[at + cut :]
    return data


@st.composite
def with_lines_at_line_starts(draw: st.DrawFn) -> bytes:
    first, _, rest = draw(messages).partition(b"\r\n")
    head, blank, body = rest.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for place, piece in draw(st.lists(st.tuples(places, st.sampled_from(PIECES)), min_size=1, max_size=3)):
        lines.insert(int(place * len(lines)), piece.removesuffix(b"\r\n"))
    return first + b"\r\n" + b"\r\n".join(lines) + blank + body


@st.composite
def shuffled(draw: st.DrawFn) -> bytes:
    data = draw(messages)
    first, _, _ = data.partition(b"\r\n")
    lines = draw(st.permutations(header_lines(data) + draw(st.sampled_from([[], header_lines(MESSAGE)]))))
    return b"\r\n".join([first, *lines, b"", data.partition(b"\r\n\r\n")[2]])


@st.composite
def spliced(draw: st.DrawFn) -> bytes:
    one, other = draw(messages), draw(messages)
    return one[: int(draw(places) * len(one))] + other[int(draw(places) * len(other)) :]


hostile = st.one_of(bit_flipped(), with_pieces(), with_lines_at_line_starts(), shuffled(), spliced(), st.binary(max_size=200))


@lively
@given(hostile)
@example(b"")
@example(b"\r\n\r\n")
@example(b"\x00" * 4)
@example(b"SIP/" + b"9" * 5000 + b".0 200 OK\r\nA: b\r\n\r\n")
@example(b"ACK sip:a SIP/2.0\r\n\r\n")
def test_any_bytes_are_a_message_or_a_parse_error(data: bytes) -> None:
    message = properties.parses_or_refuses(data)
    if message is not None:
        properties.is_held_to_the_rules(message)


@lively
@given(hostile)
@example(MESSAGE.replace(b"Max-Forwards: 70", b"Max-Forwards: " + b"9" * 5000))
@example(MESSAGE.replace(b"CSeq: 1", b"CSeq: " + b"9" * 5000))
@example(MESSAGE.replace(b"sip:bob@example.com SIP", b"sip:bob@example.com;maddr=[::1 SIP"))
@example(MESSAGE.replace(b";branch", b";maddr=255.255.255.255;branch"))
@example(MESSAGE.replace(b";branch", b";maddr=nowhere.invalid;branch"))
def test_a_receiver_survives_and_answers_the_next(data: bytes) -> None:
    properties.is_survived(data)


@lively
@given(st.lists(hostile, min_size=1, max_size=3), places)
def test_a_stream_is_cut_the_same_however_it_is_split(pieces: list[bytes], place: float) -> None:
    data = b"".join(pieces)
    properties.cuts_the_same_however_split(data, int(place * len(data)))


@pytest.mark.parametrize("file", TORTURE, ids=[file.stem for file in TORTURE])
def test_the_torture_messages_hold_to_the_same(file: Path) -> None:
    properties.check(file.read_bytes())
    properties.is_survived(file.read_bytes(), "TCP")
