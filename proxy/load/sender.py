"""A small sender of our own for OPTIONS, MESSAGE and REGISTER, where SIPp is missing.

A closed loop: a bounded number of calls is open, and the next one starts when its time has come and one of these is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter

from proxy.errors import LoadError
from proxy.load.job import Job, host_port
from proxy.load.link import Link, open_link
from proxy.load.ports import free_port
from proxy.load.result import NO_ANSWER, OnSample, Result, Sample

_FIELDS = {
    "MESSAGE": "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    "OPTIONS": "Accept: application/sdp\r\nContent-Length: 0\r\n\r\n",
    "REGISTER": "Contact: <sip:caller@{local}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
}
_ANSWER_TIMEOUT = 5.0  # seconds that a call waits for its answer
_RETRANSMIT = (0.5, 1.0, 2.0)  # seconds from one to the next: timer E of RFC 3261 section 17.1.2.2 with T1 = 0.5 s
_MOST_OPEN = 64  # calls at once
_SAMPLE_EVERY = 0.25  # seconds


async def run(job: Job, on_sample: OnSample, stop: asyncio.Event) -> Result:
    """Send the load. `stop` ends it early. LoadError when the scenario takes SIPp, or the target refuses the connection."""
    if job.scenario.method is None or job.transport not in ("udp", "tcp"):
        what = f"scenario {job.scenario.name} over {job.transport}"
        raise LoadError(f"{what} takes SIPp: apt-get install sip-tester; the built-in sender has {', '.join(_FIELDS)} over udp and tcp")
    sender = Sender(job, job.scenario.method, on_sample, stop)
    await sender.run()
    return Result(
        job,
        "builtin",
        sender.samples,
        failures=dict(sender.failures),
        response_times=sorted(sender.response_times),
        interrupted=stop.is_set(),
    )


class Sender:
    """One load under way. response_times are in milliseconds, failures count calls by reason."""

    def __init__(self, job: Job, method: str, on_sample: OnSample, stop: asyncio.Event) -> None:
        self.samples: list[Sample] = []
        self.response_times: list[float] = []
        self.failures: Counter[str] = Counter()
        self._job = job
        self._method = method
        self._on_sample = on_sample
        self._stop = stop
        self._numbers = iter(range(1, job.calls + 1))
        self._started = self._retransmissions = 0
        self._token = secrets.token_hex(4)
        self._local = (job.bind, free_port(job.bind))
        self._now = asyncio.get_running_loop().time
        self._began = self._now()

    async def run(self) -> None:
        """Send all there is to send. LoadError when the target refuses the connection."""
        link = await open_link(self._job, self._local, _ANSWER_TIMEOUT)
        self._began = self._now()
        reporter = asyncio.ensure_future(self._report())
        try:
            await asyncio.gather(*(self._work(link) for _ in range(min(_MOST_OPEN, self._job.calls))))
        finally:
            reporter.cancel()
            link.close()
        self._sample()

    async def _work(self, link: Link) -> None:
        for number in self._numbers:
            early = self._began + (number - 1) / self._job.rate - self._now()
            if early > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(early):
                        await self._stop.wait()
            if self._is_over():
                return
            await self._call(number, link)

    def _is_over(self) -> bool:
        duration = self._job.duration
        return self._stop.is_set() or (duration is not None and self._now() - self._began > duration)

    async def _call(self, number: int, link: Link) -> None:
        call_id = f"{number}-{self._token}@mqproxy"
        answer = link.expect(call_id.encode())
        self._started += 1
        began = self._now()
        try:
            status_code = await self._answer(self._request(number, call_id), link, answer)
        except (TimeoutError, ConnectionError) as error:
            self.failures[str(error)] += 1
        else:
            if status_code == 200:
                self.response_times.append((self._now() - began) * 1e3)
            else:
                self.failures[f"answered {status_code}"] += 1
        finally:
            link.forget(call_id.encode())

    async def _answer(self, request: bytes, link: Link, answer: asyncio.Future[int]) -> int:
        link.send(request)
        pauses = _RETRANSMIT if self._job.protocol == "udp" else ()
        for pause in pauses:
            await asyncio.wait((answer,), timeout=pause)
            if answer.done():
                return answer.result()
            link.send(request)
            self._retransmissions += 1
        await asyncio.wait((answer,), timeout=_ANSWER_TIMEOUT - sum(pauses))
        if not answer.done():
            raise TimeoutError(NO_ANSWER)
        return answer.result()

    def _request(self, number: int, call_id: str) -> bytes:
        target, local, method = host_port(self._job.target), host_port(self._local), self._method
        return (
            f"{method} sip:{'' if method == 'REGISTER' else 'service@'}{target} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self._job.protocol.upper()} {local};branch=z9hG4bK-{self._token}-{number};rport\r\n"
            f'Max-Forwards: 70\r\nFrom: "caller" <sip:caller{number}@{local}>;tag={self._token}\r\n'
            f"To: <sip:service@{target}>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n{_FIELDS[method].format(local=local)}"
        ).encode()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_EVERY)
            self._sample()

    def _sample(self) -> None:
        succeeded, failed = len(self.response_times), self.failures.total()
        self.samples.append(
            Sample(
                seconds=round(self._now() - self._began, 3),
                started=self._started,
                open=self._started - succeeded - failed,
                succeeded=succeeded,
                failed=failed,
                retransmissions=self._retransmissions,
            )
        )
        self._on_sample(self.samples[-1])
