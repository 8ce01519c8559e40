"""The scenarios, one row each. Their XML files are in sipp/ of a source checkout, and beside this file in an installed wheel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proxy.errors import LoadError

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "sipp", _HERE.parents[1] / "sipp")  # of a wheel, of a checkout


@dataclass(frozen=True, slots=True)
class Scenario:
    """What SIPp plays.

    proves: in words. method: what the built-in sender sends, None where it takes SIPp. rate: calls a second, unless told otherwise.
    calls: how many, unless told otherwise. callee: the scenario of the other side, which is started too.
    """

    name: str
    proves: str
    method: str | None
    rate: float = 100.0
    calls: int = 1000
    callee: str | None = None

    @property
    def file(self) -> Path:
        """The XML file; LoadError when it is nowhere."""
        return scenario_file(self.name)


SCENARIOS = {
    row.name: row
    for row in (
        Scenario("options", "OPTIONS to the proxy is answered 200", "OPTIONS"),
        Scenario("message", "MESSAGE is queued and answered 200", "MESSAGE"),
        Scenario("register", "REGISTER is answered 200", "REGISTER"),
        Scenario("call", "INVITE, ACK and BYE that the route answers itself (routes/demo.py)", None, 50, 500),
        Scenario("invite", "INVITE, ACK and BYE through the proxy to a callee (routes/relay.py)", None, 50, 500, callee="uas"),
        Scenario("flood", "a burst of MESSAGE that overflows a bounded queue; all are answered 200", "MESSAGE", 5000, 15000),
    )
}


def scenario_file(name: str) -> Path:
    """The XML file of a scenario; LoadError when it is nowhere."""
    for place in _PLACES:
        file = place / f"{name}.xml"
        if file.is_file():
            return file
    looked = " and ".join(map(str, _PLACES))
    raise LoadError(f"scenario {name}: there is no {name}.xml in {looked}; install mqproxy again, or run it in a source checkout")
