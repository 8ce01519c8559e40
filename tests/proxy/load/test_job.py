"""Jobs, targets, ports and scenario files."""

from __future__ import annotations

import socket
import xml.etree.ElementTree as xml

import pytest

from proxy.errors import LoadError
from proxy.load.job import Job, host_port, parse_target
from proxy.load.ports import free_port
from proxy.load.scenarios import SCENARIOS, Scenario, scenario_file

TARGET = ("127.0.0.1", 5060)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:5080", ("127.0.0.1", 5080)), ("127.0.0.1", TARGET), ("[::1]:5061", ("::1", 5061)), ("[::1]", ("::1", 5060))],
)
def test_targets(text: str, address: tuple[str, int]) -> None:
    assert parse_target(text) == address
    assert parse_target(host_port(address)) == address


@pytest.mark.parametrize("text", ["", "127.0.0.1:99999", "a b", "127.0.0.1:x", "no-such-host.invalid:5060"])
def test_wrong_targets_are_told(text: str) -> None:
    with pytest.raises(LoadError, match="write HOST:PORT"):
        parse_target(text)


@pytest.mark.parametrize(
    ("rate", "calls", "duration", "expected"),
    [
        (None, None, None, (100.0, 1000, None)),
        (10.0, None, None, (10.0, 1000, None)),
        (10.0, None, 3.0, (10.0, 30, 3.0)),
        (None, 7, 3.0, (100.0, 7, 3.0)),
        (0.1, None, 1.0, (0.1, 1, 1.0)),
    ],
)
def test_figures(rate: float | None, calls: int | None, duration: float | None, expected: tuple[float, int, float | None]) -> None:
    job = Job.of(SCENARIOS["message"], TARGET, rate=rate, calls=calls, duration=duration)
    assert (job.rate, job.calls, job.duration) == expected
    assert job.bind == "127.0.0.1"


def test_free_ports_are_free_and_not_given_twice() -> None:
    ports = [free_port("127.0.0.1") for _ in range(50)]
    assert len(set(ports)) == 50
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", ports[0]))


def test_a_foreign_address_has_no_ports() -> None:
    with pytest.raises(LoadError, match=r"no port of 192\.0\.2\.1 can be had: .*--bind"):
        free_port("192.0.2.1")


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_scenario_has_a_file_named_as_it(scenario: Scenario) -> None:
    for name in filter(None, (scenario.name, scenario.callee)):
        assert xml.parse(scenario_file(name)).getroot().get("name") == name


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_in_the_table_for_people(scenario: str) -> None:
    assert f"`{scenario}.xml`" in (scenario_file(scenario).parent / "README.md").read_text()


def test_a_missing_scenario_is_told() -> None:
    with pytest.raises(LoadError, match=r"there is no nothing\.xml in "):
        scenario_file("nothing")
