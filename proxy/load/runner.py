"""Runs SIPp: its ports pinned to free ones, its output in files, its statistics read while it runs, its end bounded."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path

from proxy.errors import LoadError
from proxy.load.job import Job, host_port
from proxy.load.ports import free_port
from proxy.load.result import OnSample, Result, Sample
from proxy.load.scenarios import scenario_file
from proxy.load.statistics import StatFile, error_lines, response_times
from proxy.sip.via import bracketed

REMEDY = "sipp is not installed: apt-get install sip-tester (Debian, Ubuntu), or use --sender builtin"
ANSWER_TIMEOUT = 5.0  # seconds that a call waits for an answer

_TRANSPORTS = {"udp": "u1", "tcp": "t1", "tcp-per-call": "tn"}
_CONTROL = "127.0.0.1"  # SIPp's control socket is IPv4, whatever the calls use
_POLL = 0.1  # seconds between looks at the process and its statistics
_LEAST_OPEN = 100  # calls that may be open at once; more at higher rates: those of one second
_LAST_CALLS = ANSWER_TIMEOUT * 3  # seconds for calls that are open when no more are started: INVITE, ACK, BYE, each may wait
_GRACE = 2.0  # seconds to end after a signal
_WHOLE_MS = 1.0  # what SIPp 3.6 counts response times in
_CALLS_FAILED = 1  # SIPp's exit status; 0 is success, 97 an end that was asked for, the others mean that it could not run
_ENDED = {0, _CALLS_FAILED, 97, 99, -signal.SIGTERM, -signal.SIGKILL}


def is_installed() -> bool:
    """True when there is a sipp on the PATH."""
    return shutil.which("sipp") is not None


class Sipp:
    """One SIPp process, in a directory that is made for it."""

    def __init__(self, arguments: list[str], bind: str, directory: Path) -> None:
        directory.mkdir()
        self.port = free_port(bind)
        self.directory = directory
        self.statistics = StatFile(directory / "stat.csv")
        self._arguments = [
            *arguments,
            *("-i", bracketed(bind), "-p", str(self.port), "-bind_local"),
            *("-ci", _CONTROL, "-cp", str(free_port(_CONTROL)), "-mp", str(free_port(bind))),
            *("-trace_stat", "-stf", "stat.csv", "-fd", "500ms", "-trace_err", "-error_file", "errors.log"),
            *("-max_socket", "1000", "-nostdin"),
        ]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C on the terminal reaches this program only. LoadError without sipp."""
        with (self.directory / "out.txt").open("wb") as out, (self.directory / "err.txt").open("wb") as err:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *("sipp", *self._arguments),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=self.directory,
                    env={**os.environ, "TERM": os.environ.get("TERM") or "xterm"},
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise LoadError(REMEDY) from None

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.returncode if self._process else None

    def finish(self) -> None:
        """Ask it to start no more calls and to end when those open are over."""
        if self._process and self.is_running:
            self._process.send_signal(signal.SIGUSR1)

    async def wait(self, timeout: float) -> bool:
        """True when it ended within `timeout` seconds."""
        if self._process is None:
            return True
        try:
            await asyncio.wait_for(self._process.wait(), timeout)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Be sure that it is gone, in a bounded time."""
        if self._process is None or not self.is_running:
            return
        self._process.terminate()
        if not await self.wait(_GRACE):
            self._process.kill()
            await self._process.wait()

    def errors(self) -> list[str]:
        """What it complained about."""
        return error_lines("".join(_text(self.directory / name) for name in ("errors.log", "err.txt")))

    def raise_unless_ended(self, destination: str) -> None:
        """LoadError when it could not run."""
        if self.status in _ENDED or self.status is None:
            return
        said = "; ".join(self.errors()) or _text(self.directory / "err.txt").strip()[-500:] or f"exit status {self.status}"
        refused = "Connection refused" in said or "connect" in said
        remedy = f"nothing listens on {destination}: start it (mqproxy run FILE)" if refused else "sipp could not run"
        raise LoadError(f"{remedy}. SIPp says: {said}")


async def run(job: Job, on_sample: OnSample, stop: asyncio.Event) -> Result:
    """Send the load, and be the callee where the scenario has one. `stop` ends it early. LoadError when it cannot run."""
    with tempfile.TemporaryDirectory(prefix="mqproxy-load-") as name:
        directory = Path(name)
        callee = await _start_callee(job, directory) if job.scenario.callee else None
        caller: Sipp | None = None
        try:
            caller = await _start_caller(job, directory, callee)
            samples = await _watch(caller, job, on_sample, stop)
            caller.raise_unless_ended(job.destination)
            seen = await _end_callee(callee) if callee else None
            return _result(job, caller, samples, seen, stop.is_set())
        finally:
            for process in (caller, callee):
                if process:
                    await process.stop()


def _result(job: Job, caller: Sipp, samples: list[Sample], callee: Sample | None, interrupted: bool) -> Result:
    return Result(
        job,
        "sipp",
        samples,
        failures=caller.statistics.failures(),
        response_times=response_times(caller.directory),
        resolution=_WHOLE_MS,
        callee=callee,
        errors=caller.errors() if samples and samples[-1].failed else (),
        interrupted=interrupted,
    )


async def _start_caller(job: Job, directory: Path, callee: Sipp | None) -> Sipp:
    arguments = [
        *(host_port(job.target), "-sf", str(job.scenario.file), "-t", _TRANSPORTS[job.transport]),
        *_rate_arguments(job.rate),
        *("-m", str(job.calls), "-l", str(max(_LEAST_OPEN, round(job.rate)))),
        *("-recv_timeout", str(round(ANSWER_TIMEOUT * 1000)), "-trace_rtt", "-rtt_freq", "1"),  # it writes whole batches only
    ]
    if callee:
        transport = ";transport=tcp" if job.protocol == "tcp" else ""
        arguments += ["-key", "uas", f"{host_port((job.bind, callee.port))}{transport}"]
    return await _started(arguments, job.bind, directory / "caller")


def _rate_arguments(rate: float) -> list[str]:
    """SIPp's -r takes whole numbers above 0: a rate with a fraction is so many calls in so many milliseconds."""
    return ["-r", str(round(rate))] if rate == round(rate) else ["-r", str(max(1, round(rate * 100))), "-rp", "100000"]


async def _start_callee(job: Job, directory: Path) -> Sipp:
    arguments = ["-sf", str(scenario_file(job.scenario.callee or "uas")), "-t", "t1" if job.protocol == "tcp" else "u1"]
    callee = await _started(arguments, job.bind, directory / "callee")
    for _ in range(round(ANSWER_TIMEOUT / _POLL)):
        if callee.statistics.read() or not callee.is_running:  # it writes the first line once it listens
            break
        await asyncio.sleep(_POLL)
    callee.raise_unless_ended(host_port((job.bind, callee.port)))
    return callee


async def _started(arguments: list[str], bind: str, directory: Path) -> Sipp:
    sipp = Sipp(arguments, bind, directory)
    await sipp.start()
    return sipp


async def _watch(sipp: Sipp, job: Job, on_sample: OnSample, stop: asyncio.Event) -> list[Sample]:
    """Hand on the samples until the process is over; ask it to end when the time is up or `stop` is set."""
    samples: list[Sample] = []
    now = asyncio.get_running_loop().time
    limit = now() + (job.duration if job.duration is not None else job.calls / job.rate * 3 + _LAST_CALLS)
    finishing = False
    while sipp.is_running:
        await sipp.wait(_POLL)
        _take(sipp, samples, on_sample)
        if finishing and now() > limit:
            await sipp.stop()
        elif not finishing and (stop.is_set() or now() > limit):
            sipp.finish()
            finishing, limit = True, now() + (_GRACE if stop.is_set() else _LAST_CALLS)
    _take(sipp, samples, on_sample)
    return samples


def _take(sipp: Sipp, samples: list[Sample], on_sample: OnSample) -> None:
    for sample in sipp.statistics.read():
        samples.append(sample)
        on_sample(sample)


async def _end_callee(callee: Sipp) -> Sample:
    """Let it end its calls; how they went."""
    callee.finish()
    if not await callee.wait(_LAST_CALLS):
        await callee.stop()
    samples = callee.statistics.read()
    return samples[-1] if samples else Sample()


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""
