"""The messages of RFC 4475, byte for byte, and what a proxy owes each of them.

Every message goes through a real Receiver. Whatever it is: no exception escapes, nothing is half-sent, and the next message is
answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.request import Request
from proxy.sip.errors import FramingError
from proxy.sip.framing import StreamFramer
from tests.proxy.wire import LOCAL, MESSAGE, NEXT_HOP, Proxy, Wire, body_of, forward_on, header, header_lines, reply_ok, start_line

FOLDER = Path(__file__).parent.parent / "torture"

RELAY = 0
DROP = -1


@dataclass(frozen=True)
class Row:
    """owed: RELAY, DROP or the status code of the answer; words: a part of its reason phrase."""

    file: str
    section: str
    owed: int
    words: str = ""

    @property
    def data(self) -> bytes:
        return (FOLDER / f"{self.file}.dat").read_bytes()


# As a stateless proxy owes it. Rows that a registrar or a transaction decides stand in REGISTRAR besides.
ROWS = [
    Row("wsinv", "3.1.1.1", RELAY),
    Row("intmeth", "3.1.1.2", RELAY),
    Row("esc01", "3.1.1.3", RELAY),
    Row("escnull", "3.1.1.4", RELAY),
    Row("esc02", "3.1.1.5", RELAY),
    Row("lwsdisp", "3.1.1.6", RELAY),
    Row("longreq", "3.1.1.7", RELAY),
    Row("dblreq", "3.1.1.8", RELAY),
    Row("semiuri", "3.1.1.9", RELAY),
    Row("transports", "3.1.1.10", RELAY),
    Row("mpart01", "3.1.1.11", RELAY),
    Row("unreason", "3.1.1.12", DROP, "response not for this proxy"),
    Row("noreason", "3.1.1.13", DROP, "response not for this proxy"),
    Row("badinv01", "3.1.2.1", 400, "Malformed"),
    Row("clerr", "3.1.2.2", 400, "Content-Length larger"),
    Row("ncl", "3.1.2.3", 400, "Content-Length"),
    Row("scalar02", "3.1.2.4", 400, "CSeq"),
    Row("scalarlg", "3.1.2.5", DROP, "broken message"),
    Row("quotbal", "3.1.2.6", 400, "Malformed To"),
    Row("ltgtruri", "3.1.2.7", 400, "Request-URI"),
    Row("lwsruri", "3.1.2.8", 400, "Request-URI"),
    Row("lwsstart", "3.1.2.9", 400, "Request-Line"),
    Row("trws", "3.1.2.10", 400, "Request-Line"),
    Row("escruri", "3.1.2.11", 400, "Request-URI"),
    Row("baddate", "3.1.2.12", RELAY),
    Row("regbadct", "3.1.2.13", RELAY),
    Row("badaspec", "3.1.2.14", 400, "Malformed To"),
    Row("baddn", "3.1.2.15", 400, "No empty line"),
    Row("badvers", "3.1.2.16", 505, "Version"),
    Row("mismatch01", "3.1.2.17", 400, "Method"),
    Row("mismatch02", "3.1.2.18", 400, "Method"),
    Row("bigcode", "3.1.2.19", DROP, "broken message"),
    Row("badbranch", "3.2.1", RELAY),
    Row("insuf", "3.3.1", 400, "Missing"),
    Row("unkscm", "3.3.2", 416, "Scheme"),
    Row("novelsc", "3.3.3", 416, "Scheme"),
    Row("unksm2", "3.3.4", RELAY),
    Row("bext01", "3.3.5", 420, "Extension"),
    Row("invut", "3.3.6", RELAY),
    Row("regaut01", "3.3.7", RELAY),
    Row("multi01", "3.3.8", 400, "More than one"),
    Row("mcl01", "3.3.9", 400, "Content-Length"),
    Row("bcast", "3.3.10", DROP, "response not for this proxy"),
    Row("zeromf", "3.3.11", 483, "Too Many Hops"),
    Row("cparam01", "3.3.12", RELAY),
    Row("cparam02", "3.3.13", RELAY),
    Row("regescrt", "3.3.14", RELAY),
    Row("sdp01", "3.3.15", RELAY),
    Row("inv2543", "3.4.1", RELAY),
]

# What these are owed once REGISTER is handled: the status code, and what stands in the answer.
REGISTRAR = [
    ("escnull", 200, rb"%00", 2),
    ("dblreq", 200, rb"Contact: <?sip:j\.user@host\.example\.com", 1),
    ("regbadct", 400, rb"", 0),
    ("unksm2", 400, rb"", 0),
    ("regaut01", 401, rb"WWW-Authenticate:", 1),
    ("cparam01", 200, rb">[^\r\n]*unknownparam", 1),
    ("cparam02", 200, rb"unknownparam[^\r\n]*>", 1),
    ("regescrt", 200, rb"\?Route=%3Csip:sip\.example\.com%3E", 1),
]

IDS = [f"{row.file}-{row.section}" for row in ROWS]


def rows(*owed: int) -> list[object]:
    """The rows that are owed one of these, as parameters."""
    return [pytest.param(row, id=f"{row.file}-{row.section}") for row in ROWS if (row.owed in owed if owed else row.owed > 0)]


def test_every_message_of_the_rfc_has_a_row() -> None:
    assert sorted(row.file for row in ROWS) == sorted(file.stem for file in FOLDER.glob("*.dat"))


@pytest.mark.parametrize("row", rows(RELAY))
def test_relayed_with_every_byte_that_a_proxy_may_not_touch(row: Row) -> None:
    proxy = Proxy(forward_on)
    sent = proxy.receive(row.data)
    assert len(sent) == 1
    assert proxy.destination == NEXT_HOP
    assert len(proxy.seen) == proxy.counters.forwarded == 1
    assert_forwarded(row.data, sent[0])


@pytest.mark.parametrize("row", rows())
def test_refused_with_a_reason_that_says_what_is_wrong(row: Row) -> None:
    proxy = Proxy(forward_on)
    sent = proxy.receive(row.data)
    assert len(sent) == 1
    assert re.match(rf"SIP/2\.0 {row.owed} .*{re.escape(row.words)}", start_line(sent[0]))
    assert_answers(row.data, sent[0])
    assert proxy.counters.forwarded == 0
    if row.owed == 420:
        assert header(sent[0], "Unsupported") == ["noProxiesSupportThis, norDoAnyProxiesSupportThis"]
    if row.owed not in (420, 483):  # those two are owed for what a route asks, to forward
        assert proxy.seen == []


def test_baddn_with_its_last_line_end_is_refused_for_its_display_name() -> None:
    sent = Proxy(forward_on).receive((FOLDER / "baddn.dat").read_bytes() + b"\r\n")
    assert [start_line(message) for message in sent] == ["SIP/2.0 400 Malformed From"]


@pytest.mark.parametrize("row", rows(DROP))
def test_dropped_and_counted(row: Row) -> None:
    proxy = Proxy(forward_on)
    assert proxy.receive(row.data) == []
    assert proxy.seen == []
    assert proxy.dropped == {row.words: 1}


@pytest.mark.parametrize("file", ["unreason", "noreason"])
def test_a_response_whose_top_via_is_ours_is_relayed_as_it_came(file: str) -> None:
    received = (FOLDER / f"{file}.dat").read_bytes()
    first_via = next(line for line in header_lines(received) if line.startswith(b"Via:"))
    ours = b"Via: SIP/2.0/UDP 192.0.2.254:5060;branch=z9hG4bK-1\r\n"
    below = b"Via: SIP/2.0/UDP 203.0.113.20:5062;branch=z9hG4bKx"
    proxy = Proxy(forward_on)
    sent = proxy.receive(received.replace(first_via, ours + below))
    assert sent == [received.replace(first_via, below)]
    assert proxy.destination == ("203.0.113.20", 5062)


def test_a_response_is_never_sent_to_a_broadcast_address() -> None:
    proxy = Proxy(forward_on, wire=Wire(local=("192.0.2.198", 5060)))
    assert proxy.receive((FOLDER / "bcast.dat").read_bytes()) == []
    assert proxy.dropped == {"response without a way": 1}


@pytest.mark.xfail(strict=True, reason="registrar: comes with REGISTER handling")
@pytest.mark.parametrize(("file", "status_code", "holds", "times"), REGISTRAR, ids=[row[0] for row in REGISTRAR])
def test_the_registrar_answers(file: str, status_code: int, holds: bytes, times: int) -> None:
    def register(request: Request) -> None:
        save = getattr(request, "register", request.forward)
        save()

    sent = Proxy(register).receive((FOLDER / f"{file}.dat").read_bytes())
    assert start_line(sent[0]).startswith(f"SIP/2.0 {status_code} ")
    assert len(re.findall(holds, sent[0])) >= times


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_the_next_message_is_answered(row: Row) -> None:
    proxy = Proxy(reply_ok)
    assert len(proxy.receive(row.data)) <= 1
    assert proxy.counters.drops["internal error"] == 0
    assert [start_line(sent) for sent in proxy.receive(MESSAGE)] == ["SIP/2.0 200 OK"]


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_every_truncation_is_survived(row: Row) -> None:
    proxy = Proxy(forward_on)
    for end in range(len(row.data)):
        assert len(proxy.receive(row.data[:end])) <= 1
    assert proxy.counters.drops["internal error"] == 0
    assert sum(proxy.counters.route_errors.values()) == 0


def stream_messages() -> list[bytes]:
    """The messages that a stream can carry, cut at their Content-Length."""
    cut: list[bytes] = []
    for row in ROWS:
        framer = StreamFramer()
        framer.receive_data(row.data)
        try:
            message = framer.next_message()
        except FramingError:
            continue
        if message is not None:
            cut.append(message)
    return cut


def test_most_messages_pass_a_stream_unchanged() -> None:
    cut = stream_messages()
    whole = {row.data for row in ROWS}
    assert len(cut) > 35
    assert all(any(data.startswith(message) for data in whole) for message in cut)


def test_glued_together_on_a_stream_they_come_out_one_by_one() -> None:
    messages = stream_messages()
    framer = StreamFramer()
    framer.receive_data(b"".join(messages))
    assert [framer.next_message() for _ in messages] == messages
    assert framer.next_message() is None
    assert framer.buffered == 0


def test_split_at_every_byte_of_a_stream_they_come_out_whole() -> None:
    for message in stream_messages():
        for at in range(1, len(message)):
            framer = StreamFramer()
            framer.receive_data(message[:at])
            assert framer.next_message() is None
            framer.receive_data(message[at:])
            assert framer.next_message() == message


def test_byte_by_byte_on_a_stream_they_come_out_in_order() -> None:
    messages = stream_messages()
    framer = StreamFramer()
    found: list[bytes] = []
    for byte in b"".join(messages):
        framer.receive_data(bytes((byte,)))
        if (message := framer.next_message()) is not None:
            found.append(message)
    assert found == messages


def assert_answers(request: bytes, response: bytes) -> None:
    """Via, From, To, Call-ID and CSeq go back as they came: To may get a tag, the top Via received and rport."""
    for long, compact in (("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("CSeq", "cseq")):
        was = [value for line in header_lines(request) if (value := value_of(line, long, compact)) is not None]
        now = [value for line in header_lines(response) if (value := value_of(line, long, compact)) is not None]
        assert len(now) == (len(was) if long == "Via" else min(len(was), 1))
        for before, after in zip(was, now, strict=False):
            assert after.startswith(before.rstrip(b" ;")), long
    assert response.endswith(b"Content-Length: 0\r\n\r\n")


def value_of(line: bytes, *names: str) -> bytes | None:
    name, _, value = line.partition(b":")
    return value.strip() if name.strip().lower() in [known.lower().encode() for known in names] else None


def assert_forwarded(received: bytes, sent: bytes) -> None:
    """Start line, body, and every header line are the same but for Via, which is pushed, and Max-Forwards."""
    assert start_line(sent) == start_line(received)
    was, now = header_lines(received), header_lines(sent)
    top = next(index for index, line in enumerate(was) if value_of(line, "Via", "v") is not None)
    assert re.fullmatch(rf"Via: SIP/2\.0/UDP {re.escape(LOCAL[0])}:5060;branch=z9hG4bK[-0-9a-f]+".encode(), now.pop(top))
    hops = next((index for index, line in enumerate(was) if value_of(line, "Max-Forwards") is not None), None)
    if hops is None:
        assert now.pop() == b"Max-Forwards: 70"
    else:
        left = int(value_of(was[hops], "Max-Forwards") or 0)
        assert int(value_of(now[hops], "Max-Forwards") or 0) == left - 1
        del now[hops], was[hops]
        top -= hops < top
    before, after = was.pop(top), now.pop(top)
    stamped = value_of(after, "Via", "v") or b""
    assert b"received=198.51.100.7" in stamped
    first = (value_of(before, "Via", "v") or b"").partition(b",")[0].partition(b";received")[0].rstrip()
    assert stamped.startswith(first)
    assert now == was
    length = next((int(value) for line in was if (value := value_of(line, "Content-Length", "l"))), None)
    assert body_of(sent) == body_of(received)[:length]
