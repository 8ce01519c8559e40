"""What is to be sent where, checked once and frozen."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from proxy.config import Listen
from proxy.errors import ConfigError, LoadError
from proxy.load.scenarios import Scenario
from proxy.sip.via import Address, bracketed

TRANSPORTS = ("udp", "tcp", "tcp-per-call")


@dataclass(frozen=True, slots=True)
class Job:
    """One load.

    target: host without brackets and port. transport: one of TRANSPORTS; tcp-per-call opens a connection for each call.
    rate: calls a second. calls: how many at most. duration: seconds after which no call is started, or None.
    bind: the local address without brackets.
    """

    scenario: Scenario
    target: Address
    transport: str
    rate: float
    calls: int
    duration: float | None
    bind: str

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        target: Address,
        transport: str = "udp",
        *,
        rate: float | None = None,
        calls: int | None = None,
        duration: float | None = None,
        bind: str | None = None,
    ) -> Job:
        """A load with the scenario's own figures where none are given; a duration alone means as many calls as fit in. LoadError."""
        chosen = scenario.rate if rate is None else rate
        if calls is None:
            calls = scenario.calls if duration is None else max(1, round(chosen * duration))
        return cls(scenario, target, transport, chosen, calls, duration, bind or _local_address(target))

    @property
    def protocol(self) -> str:
        """udp or tcp."""
        return self.transport[:3]

    @property
    def destination(self) -> str:
        """The target as people write it, such as udp:127.0.0.1:5060."""
        return f"{self.protocol}:{host_port(self.target)}"


def parse_target(text: str) -> Address:
    """``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT`` as a numeric address and port; LoadError. The port is 5060 unless given."""
    try:
        return Listen.parse(f"udp:{text}").resolve()
    except ConfigError:
        raise LoadError(f"target {text!r}: write HOST:PORT, such as 127.0.0.1:5060 or [::1]:5060, with a name that is known") from None


def host_port(address: Address) -> str:
    """Host and port with a colon between, IPv6 in brackets."""
    return f"{bracketed(address[0])}:{address[1]}"


def _local_address(target: Address) -> str:
    """The address of this machine from which packets to the target leave."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise LoadError(
            f"no way to {host_port(target)}: {error.strerror}; give another --target, or the local address with --bind"
        ) from None
