"""What the proxy counts: nothing is dropped uncounted."""

from __future__ import annotations

from collections import Counter


class Counters:
    """Plain numbers since start-up.

    received: messages taken from the network, broken ones included.
    requests, responses: those of them that could be read.
    replies: responses sent, by status code. forwarded: messages sent on.
    drops: messages or connections that ended here without an answer, by reason.
    parse_errors: messages that broke RFC 3261, by reason. route_errors: callbacks that raised, by name.
    timer_runs, timer_missed, timer_errors: runs, skipped ticks and failed runs, by timer.
    """

    def __init__(self) -> None:
        self.received = self.requests = self.responses = self.forwarded = 0
        self.replies: Counter[int] = Counter()
        self.drops: Counter[str] = Counter()
        self.parse_errors: Counter[str] = Counter()
        self.route_errors: Counter[str] = Counter()
        self.timer_runs: Counter[str] = Counter()
        self.timer_missed: Counter[str] = Counter()
        self.timer_errors: Counter[str] = Counter()

    def as_dict(self) -> dict[str, object]:
        """The same as plain data, for a log line or a report."""
        return {
            name: {str(key): count for key, count in value.items()} if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }
