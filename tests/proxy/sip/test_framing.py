"""Where a message ends, in a datagram and on a stream."""

from __future__ import annotations

import pytest

from proxy.sip.errors import FramingError, ParseError
from proxy.sip.framing import StreamFramer, parse_message

HEAD = b"MESSAGE sip:bob@example.com SIP/2.0\r\nCall-ID: c1\r\n"


def message_of(body: bytes, length: bytes | None = None, name: bytes = b"Content-Length") -> bytes:
    return HEAD + name + b": " + (b"%d" % len(body) if length is None else length) + b"\r\n\r\n" + body


def all_of(framer: StreamFramer) -> list[bytes]:
    return list(iter(framer.next_message, None))


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (HEAD + b"\r\nall of it", b"all of it"),
        (message_of(b"hello"), b"hello"),
        (message_of(b""), b""),
        (message_of(b"hello") + b" and more", b"hello"),
        (message_of(b"hello", b"0"), b""),
        (message_of(b"hello", b"005"), b"hello"),
        (b"\r\n\r\n" + message_of(b"hello"), b"hello"),
        (message_of(b"\r\n\r\nx\x00"), b"\r\n\r\nx\x00"),
        (HEAD + b"Content-Length  :\r\n 5\r\n\r\nhello", b"hello"),
        (HEAD + b"L: 5\r\n\r\nhello", b"hello"),
    ],
)
def test_the_body_of_a_datagram(data: bytes, body: bytes) -> None:
    assert parse_message(data).body == body


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (b"6", "larger than the message"),
        (b"999999999", "larger than the message"),
        (b"-1", "Malformed"),
        (b"+5", "Malformed"),
        (b"", "Malformed"),
        (b"5;x", "Malformed"),
        (b"5 5", "Malformed"),
        (b"0x5", "Malformed"),
        (b"5.0", "Malformed"),
        (b"\xb2", "Malformed"),
        (b"9" * 10, "Malformed"),
        (b"9" * 5000, "Malformed"),
    ],
)
def test_a_wrong_content_length_of_a_datagram_is_answerable(length: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=f"Content-Length {reason}|{reason} Content-Length") as caught:
        parse_message(message_of(b"hello", length))
    assert caught.value.message is not None
    assert caught.value.message.call_id == "c1"


A, B, C = message_of(b"first"), message_of(b""), message_of(b"\r\n\r\nthird\r\n\r\n", name=b"l")


def test_messages_glued_together() -> None:
    framer = StreamFramer()
    framer.receive_data(A + B + C)
    assert all_of(framer) == [A, B, C]
    assert framer.buffered == 0


@pytest.mark.parametrize("at", range(1, len(A + B + C)))
def test_messages_split_at_any_byte(at: int) -> None:
    framer, glued = StreamFramer(), A + B + C
    framer.receive_data(glued[:at])
    found = all_of(framer)
    framer.receive_data(glued[at:])
    assert found + all_of(framer) == [A, B, C]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_messages_in_pieces(size: int) -> None:
    framer, glued = StreamFramer(), b"\r\n" + A + b"\r\n\r\n" + B + C
    found: list[bytes] = []
    for at in range(0, len(glued), size):
        framer.receive_data(glued[at : at + size])
        found += all_of(framer)
    assert found == [A, B, C]
    assert framer.pings == 1


@pytest.mark.parametrize(
    ("pieces", "pings"),
    [
        ((b"\r\n\r\n",), 1),
        ((b"\r\n", b"\r\n"), 1),
        ((b"\r", b"\n", b"\r", b"\n"), 1),
        ((b"\r\n\r\n\r\n\r\n",), 2),
        ((b"\r\n\r\n", b"\r\n\r\n"), 2),
        ((b"\r\n",), 0),
        ((b"\r\n" + A,), 0),
        ((b"\r\n\r\n" + A,), 1),
        ((b"\r\n\r\n\r\n" + A,), 1),
        ((A + b"\r\n\r\n",), 1),
        ((A + b"\r\n\r\n" + B,), 1),
    ],
)
def test_keep_alives_are_counted_for_their_pongs(pieces: tuple[bytes, ...], pings: int) -> None:
    framer = StreamFramer()
    found: list[bytes] = []
    for piece in pieces:
        framer.receive_data(piece)
        found += all_of(framer)
    assert framer.pings == pings
    assert found == [message for message in (A, B) if message in b"".join(pieces)]
    assert framer.buffered == len(b"".join(pieces)) % 4 * (not found)


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Content-Length: -1\r\n",
        b"Content-Length: x\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1\r\nl: 2\r\n",
        b"Content-Length: 9999999999\r\n",
        b"X-Content-Length: 1\r\n",
        b"Content-Length: 1, 1\r\n",
        b"X:\r\n Content-Length: 1\r\n",
    ],
)
def test_a_stream_whose_next_message_cannot_be_found_is_an_answerable_error(fields: bytes) -> None:
    framer = StreamFramer()
    framer.receive_data(HEAD + fields + b"\r\n")
    with pytest.raises(FramingError, match="one Content-Length") as caught:
        framer.next_message()
    assert caught.value.status_code == 400
    assert caught.value.message is not None
    assert caught.value.message.call_id == "c1"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"l:2\r\n",
        b"CONTENT-LENGTH \t:\r\n  2  \r\n",
        b"X: y\r\n fold\r\nContent-Length: 2\r\n",
    ],
)
def test_one_content_length_in_whatever_spelling(fields: bytes) -> None:
    framer, data = StreamFramer(), HEAD + fields + b"\r\nhi"
    framer.receive_data(data + A)
    assert framer.next_message() == data
    assert framer.next_message() == A


def test_limits_of_a_stream() -> None:
    framer = StreamFramer(max_head=100, max_body=10)
    framer.receive_data(message_of(b"x" * 10))
    assert framer.next_message() is not None
    framer.receive_data(message_of(b"x" * 11)[:-11])
    with pytest.raises(FramingError, match="Body longer than 10") as caught:
        framer.next_message()
    assert caught.value.status_code == 513
    framer = StreamFramer(max_head=100)
    framer.receive_data(b"x" * 100)
    assert framer.next_message() is None
    framer.receive_data(b"x")
    with pytest.raises(FramingError, match="longer than 100") as caught:
        framer.next_message()
    assert caught.value.status_code == 513


def test_a_whole_head_over_the_limit_is_refused_too() -> None:
    framer = StreamFramer(max_head=100)
    framer.receive_data(message_of(b"").replace(b"c1", b"c" * 100))
    with pytest.raises(FramingError, match="longer than 100"):
        framer.next_message()
