"""What came of a load, and how far it is while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.load.job import Job

NO_ANSWER = "no answer in time"
NO_ANSWER_AGAIN = "no answer to any retransmission"
SILENCE = frozenset({NO_ANSWER, NO_ANSWER_AGAIN})  # failures where nothing came


@dataclass(frozen=True, slots=True)
class Sample:
    """A load at one moment: seconds since its start, calls started, open, succeeded and failed, and retransmissions so far."""

    seconds: float = 0.0
    started: int = 0
    open: int = 0
    succeeded: int = 0
    failed: int = 0
    retransmissions: int = 0

    @property
    def rate(self) -> float:
        """Calls started a second, over the whole time."""
        return self.started / self.seconds if self.seconds else 0.0


OnSample = Callable[[Sample], None]


@dataclass(frozen=True, slots=True)
class Result:
    """A load that is over.

    sender: sipp or builtin. samples: in the order of time, the last is the final one. failures: calls by the reason why they failed.
    response_times: of the first request of each call, in milliseconds, ascending; resolution: what they are counted in (ms).
    callee: how the calls went at the other side, where there is one. errors: what SIPp said, the same lines once.
    interrupted: the user ended it.
    """

    job: Job
    sender: str
    samples: Sequence[Sample]
    failures: Mapping[str, int] = field(default_factory=dict)
    response_times: Sequence[float] = ()
    resolution: float = 0.0
    callee: Sample | None = None
    errors: Sequence[str] = ()
    interrupted: bool = False

    @property
    def final(self) -> Sample:
        """The last sample."""
        return self.samples[-1] if self.samples else Sample()

    @property
    def mean(self) -> float | None:
        """The mean response time in milliseconds; None when nothing was answered."""
        return sum(self.response_times) / len(self.response_times) if self.response_times else None

    def percentile(self, percent: float) -> float | None:
        """The response time in milliseconds that so many percent of the calls did not exceed (nearest rank); None without answers."""
        if not self.response_times:
            return None
        rank = math.ceil(percent / 100 * len(self.response_times))
        return self.response_times[max(rank, 1) - 1]

    @property
    def complaints(self) -> list[str]:
        """Why the load did not succeed; empty when every call did."""
        final, callee = self.final, self.callee
        found = [f"{final.failed} of {final.started} calls failed"] if final.failed else []
        if not final.succeeded and self.failures.keys() <= SILENCE:
            found.append(f"nothing at {self.job.destination} answered: is the proxy running there? (mqproxy run FILE)")
        if callee is not None and (callee.succeeded, callee.failed) != (final.succeeded, 0):
            found.append(f"the callee had {callee.succeeded} whole calls and {callee.failed} broken ones, the caller {final.succeeded}")
        return found

    @property
    def succeeded(self) -> bool:
        """True when every call succeeded, at both ends."""
        return not self.complaints
