"""Work is linear in the input: hostile datagrams as large as UDP carries them are all dealt with in a moment.

Nothing is timed here. A pattern that backtracks would not end within the time that the child process has, by orders of magnitude;
`python -m tests.proxy.sip.test_linear` shows how long each takes, at one size and at twice the size.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time

from proxy.sip.errors import ParseError
from proxy.sip.framing import StreamFramer
from tests.proxy.adversarial import hostile
from tests.proxy.wire import Proxy, forward_on

SIZE = 60_000  # bytes
TIMEOUT = 30  # seconds; all of it takes about four


def test_hostile_datagrams_and_streams_end() -> None:
    child = subprocess.run([sys.executable, "-m", __name__, "all"], timeout=TIMEOUT, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) > 1000


def test_a_stream_in_small_pieces_is_searched_once() -> None:
    """Each byte is looked at a bounded number of times: 4 MB in single bytes would be hours if the buffer were searched anew."""
    framer = StreamFramer(max_head=1 << 22, max_body=1 << 22)
    framer.receive_data(b"A: b\r\n" * 40_000)
    for _ in range(200_000):
        framer.receive_data(b"x")
        assert framer.next_message() is None


def test_many_messages_in_one_piece_are_cut_once() -> None:
    framer, message = StreamFramer(), b"A b SIP/2.0\r\nl:0\r\n\r\n"
    framer.receive_data((b"\r\n\r\n" + message) * 100_000)
    assert sum(found == message for found in iter(framer.next_message, None)) == 100_000
    assert framer.pings == 100_000


def receive_all() -> int:
    proxy, count = Proxy(forward_on), 0
    for name, data in hostile(SIZE):
        assert len(proxy.receive(data)) <= 1, name
        assert proxy.counters.drops["internal error"] == 0, name
        framer = StreamFramer()
        framer.receive_data(data)
        try:
            while framer.next_message() is not None:
                pass
        except ParseError:
            pass
        count += 1
    return count


def show(size: int) -> None:
    proxy = Proxy(forward_on)
    rows: list[tuple[float, float, str]] = []
    for (name, one), (_, twice) in zip(hostile(size), hostile(2 * size), strict=True):
        started = time.process_time()
        proxy.receive(one)
        between = time.process_time()
        proxy.receive(twice)
        rows.append((time.process_time() - between, between - started, name))
    for second, first, name in sorted(rows, reverse=True)[:40]:
        print(f"{first * 1e3:8.2f} ms  {second * 1e3:8.2f} ms  x {second / max(first, 1e-9):4.1f}  {name}")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1:] == ["all"]:
        print(receive_all())
    else:
        show(int(sys.argv[1]) if len(sys.argv) > 1 else 16_000)
