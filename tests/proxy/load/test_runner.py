"""SIPp itself, driven by the runner, against a proxy process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.errors import LoadError
from proxy.load import runner
from proxy.load.job import Job
from proxy.load.ports import free_port
from proxy.load.result import OnSample, Result, Sample
from proxy.load.scenarios import SCENARIOS
from tests.programs import need
from tests.proxy.load.proxies import HOST, PATIENCE, Proxy, running

CALLS = 20


def has_ipv6() -> bool:
    try:
        return bool(free_port("::1"))
    except LoadError:
        return False


def play(
    proxy: Proxy,
    name: str,
    transport: str = "udp",
    on_sample: OnSample = lambda _: None,
    *,
    rate: float = 200.0,
    calls: int = CALLS,
    duration: float | None = None,
) -> Result:
    need("sipp")
    job = Job.of(SCENARIOS[name], (proxy.host, proxy.port), transport, rate=rate, calls=calls, duration=duration)

    async def run() -> Result:
        async with asyncio.timeout(PATIENCE):
            return await runner.run(job, on_sample, asyncio.Event())

    return asyncio.run(run())


@pytest.mark.parametrize("transport", ["udp", "tcp", "tcp-per-call"])
@pytest.mark.parametrize("name", ["options", "message", "register", "call"])
def test_every_call_to_the_demo_route_succeeds(name: str, transport: str, tmp_path: Path) -> None:
    with running("demo.py", tmp_path) as proxy:
        result = play(proxy, name, transport)
    assert result.complaints == []
    assert (result.final.started, result.final.succeeded, result.final.open) == (CALLS, CALLS, 0)
    assert len(result.response_times) == CALLS
    answers = CALLS * (2 if name == "call" else 1)
    assert proxy.statistics["replies"] == {"200": answers + result.final.retransmissions}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_calls_through_the_proxy_are_whole_at_both_ends(transport: str, tmp_path: Path) -> None:
    with running("relay.py", tmp_path) as proxy:
        result = play(proxy, "invite", transport)
    assert result.complaints == []
    assert result.callee is not None
    assert (result.final.succeeded, result.callee.succeeded, result.callee.failed) == (CALLS, CALLS, 0)
    # INVITE, ACK and BYE one way; 180, 200 and 200 the other: all of them went through the proxy
    counters, again = proxy.statistics, result.final.retransmissions + result.callee.retransmissions
    assert 3 * CALLS <= counters["requests"] <= 3 * CALLS + 2 * again
    assert 3 * CALLS <= counters["responses"] <= 3 * CALLS + 2 * again
    assert counters["forwarded"] == counters["requests"] + counters["responses"]


@pytest.mark.skipif(not has_ipv6(), reason="NOT TESTED, this machine has no IPv6: give lo the address ::1")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_calls_over_ipv6(transport: str, tmp_path: Path) -> None:
    with running("relay.py", tmp_path, "::1") as proxy:
        result = play(proxy, "invite", transport)
    assert result.complaints == []
    assert result.callee is not None
    assert result.callee.succeeded == CALLS


def test_relay_answers_options_to_itself(tmp_path: Path) -> None:
    with running("relay.py", tmp_path) as proxy:
        result = play(proxy, "options")
    assert result.succeeded
    assert (proxy.statistics["replies"], proxy.statistics["forwarded"]) == ({"200": CALLS + result.final.retransmissions}, 0)


def test_the_flood_overflows_the_queue(tmp_path: Path) -> None:
    with running("demo.py", tmp_path) as proxy:
        result = play(proxy, "flood", rate=SCENARIOS["flood"].rate, calls=SCENARIOS["flood"].calls)
    queue = proxy.statistics["queues"]["events"]
    assert result.complaints == []
    assert queue["dropped"] > 0
    assert queue["added"] == queue["fetched"] + queue["dropped"] + queue["size"] == proxy.statistics["requests"]
    assert queue["added"] >= SCENARIOS["flood"].calls  # more where SIPp sent again what a busy machine answered late


def test_what_the_scenario_does_not_expect_is_a_failed_call_with_its_reason(tmp_path: Path) -> None:
    with running("bench.py", tmp_path) as proxy:
        result = play(proxy, "invite", calls=3)  # the proxy answers 200 itself: there is no 180, and nothing comes to the callee
    assert not result.succeeded
    assert result.failures == {"another message came than the scenario expects": 3}
    assert result.callee is not None
    assert result.callee.started == 0
    assert any("SIP/2.0 200 OK" in line for line in result.errors)
    assert not any("is the proxy running" in line for line in result.complaints)


def test_samples_come_while_it_runs(tmp_path: Path) -> None:
    seen: list[Sample] = []
    with running("demo.py", tmp_path) as proxy:
        result = play(proxy, "message", on_sample=seen.append, rate=40.0, calls=60)
    assert seen == list(result.samples)
    assert any(0 < sample.started < 60 for sample in seen)
    assert [sample.succeeded for sample in seen] == sorted(sample.succeeded for sample in seen)


def test_a_duration_ends_a_load_with_calls_left(tmp_path: Path) -> None:
    with running("demo.py", tmp_path) as proxy:
        result = play(proxy, "message", rate=50.0, calls=100_000, duration=1.0)
    assert result.succeeded
    assert 0 < result.final.started < 100_000
    assert not result.interrupted


def test_stop_ends_a_load_and_keeps_what_there_is(tmp_path: Path) -> None:
    need("sipp")

    async def run(port: int) -> Result:
        stop = asyncio.Event()
        job = Job.of(SCENARIOS["message"], (HOST, port), calls=100_000)

        def enough(sample: Sample) -> None:
            if sample.succeeded:
                stop.set()

        async with asyncio.timeout(PATIENCE):
            return await runner.run(job, enough, stop)

    with running("demo.py", tmp_path) as proxy:
        result = asyncio.run(run(proxy.port))
    assert result.interrupted
    assert 0 < result.final.succeeded == result.final.started < 100_000


def test_a_refused_connection_is_an_error_with_the_remedy() -> None:
    with pytest.raises(LoadError, match=r"nothing listens on tcp:127\.0\.0\.1:\d+: start it \(mqproxy run FILE\)"):
        play(Proxy(free_port(HOST)), "message", "tcp")


def test_silence_is_told_from_wrong_answers() -> None:
    result = play(Proxy(free_port(HOST)), "message", calls=2)
    assert result.failures == {"no answer in time": 2}
    assert result.final.retransmissions > 0
    assert "is the proxy running there?" in result.complaints[-1]
