"""What holds for any bytes, for the fuzz tests of `make test` (hypothesis) and of `make fuzz` (atheris) alike."""

from __future__ import annotations

import re

from proxy.sip.errors import FramingError, ParseError
from proxy.sip.framing import StreamFramer, parse_message
from proxy.sip.message import Request, Response
from proxy.sip.validation import check_request, check_response
from tests.proxy.wire import MESSAGE, SOURCE, Proxy, Wire, forward_on, reply_ok, start_line


def parses_or_refuses(data: bytes) -> Request | Response | None:
    """Any bytes are a Request, a Response or a ParseError; and a message gives back the bytes that it was read from.

    Exactly: with the octets that Content-Length leaves out, and the line ends before the start line, which are no part of it.
    """
    try:
        message = parse_message(data)
    except ParseError as error:
        is_fit_for_an_answer(error)
        return None
    assert isinstance(message, Request | Response)
    stripped = data.lstrip(b"\r\n") if data.startswith(b"\r") else data
    given_back = bytes(message)
    assert stripped.startswith(given_back)
    if message.index(b"content-length") < 0:
        assert given_back == stripped
    assert bytes(parse_message(given_back)) == given_back
    assert bytes(message.copy()) == given_back
    return message


def is_fit_for_an_answer(error: ParseError) -> None:
    assert 400 <= error.status_code < 600
    assert error.reason
    assert not re.search(r"[\r\n]", error.reason)


def is_held_to_the_rules(message: Request | Response) -> None:
    """A message keeps the rules, or it is a ParseError."""
    try:
        if isinstance(message, Request):
            check_request(message, SOURCE)
        else:
            check_response(message)
    except ParseError:
        return
    assert message.cseq[0] < 2**31
    assert message.from_.uri
    assert message.to.uri
    assert bytes(parse_message(bytes(message))) == bytes(message)


def cuts_the_same_however_split(data: bytes, cut: int) -> None:
    """A stream gives messages or a FramingError; where the bytes were split makes no difference."""
    assert cut_in_pieces([data]) == cut_in_pieces([data[:cut], data[cut:]])


def cut_in_pieces(pieces: list[bytes]) -> tuple[list[bytes], str]:
    """The messages of a stream, and what ended it."""
    framer, found = StreamFramer(), []
    try:
        for piece in pieces:
            framer.receive_data(piece)
            while (message := framer.next_message()) is not None:
                assert message[:1] not in (b"\r", b"\n")
                found.append(message)
    except FramingError as error:
        return found, error.reason
    return found, ""


def is_survived(data: bytes, protocol: str = "UDP") -> None:
    """A receiver does not raise, sends one message at most, and that is a whole one; the next message is answered."""
    for route in (reply_ok, forward_on):
        proxy = Proxy(route, wire=Wire(protocol))
        for sent in proxy.receive(data):
            answer = parse_message(sent)
            assert bytes(answer) == sent
            check_response(answer) if isinstance(answer, Response) and answer.status_code == 200 else None
        assert len(proxy.wire.sent) <= 1
        assert proxy.counters.drops["internal error"] == 0
        assert sum(proxy.counters.route_errors.values()) == 0
        assert len(proxy.wire.sent) + sum(proxy.counters.drops.values()) >= (1 if not is_ack(data) else 0)
    proxy = Proxy(reply_ok)
    proxy.receive(data)
    assert [start_line(sent) for sent in proxy.receive(MESSAGE)] == ["SIP/2.0 200 OK"]


def is_ack(data: bytes) -> bool:
    return data.lstrip(b"\r\n").startswith(b"ACK ")


def check(data: bytes) -> None:
    """All of it."""
    message = parses_or_refuses(data)
    if message is not None:
        is_held_to_the_rules(message)
    cuts_the_same_however_split(data, len(data) // 2)
    is_survived(data)
