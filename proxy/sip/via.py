"""Via (RFC 3261 section 20.42) with received and rport (RFC 3581)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.sip.errors import ParseError
from proxy.sip.grammar import HOST, LWS, PARAMS, TOKEN, parse_params

Address = tuple[str, int]  # host without brackets, port

_VIA = re.compile(
    rf"{LWS}SIP{LWS}/{LWS}2\.0{LWS}/{LWS}({TOKEN})[ \t\r\n]+({HOST})(?:{LWS}:{LWS}([0-9]{{1,5}}))?({PARAMS}){LWS}",
    re.IGNORECASE | re.DOTALL,
)
_RPORT = re.compile(rf";{LWS}rport(?:{LWS}={LWS}[0-9]*)?(?={LWS}(?:;|$))", re.IGNORECASE)
_RECEIVED = re.compile(rf";{LWS}received{LWS}={LWS}[^;\s]*", re.IGNORECASE)
MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 section 8.1.1.7
DEFAULT_PORTS = {"TLS": 5061, "WSS": 443, "WS": 80}  # all others: 5060


def default_port(protocol: str) -> int:
    """The port of a transport where none is written (RFC 3261 section 18, RFC 7118)."""
    return DEFAULT_PORTS.get(protocol, 5060)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value. host is as written (IPv6 in brackets), port None where none is written, params from its first `;`."""

    protocol: str
    host: str
    port: int | None
    params: str

    @classmethod
    def parse(cls, text: str) -> Via:
        """The Via value in `text`; ParseError when it is malformed."""
        match = _VIA.fullmatch(text)
        if match is None:
            raise ParseError("Malformed Via")
        protocol, host, port, params = match.groups()
        if port and not 0 < int(port) < 65536:
            raise ParseError("Port in Via out of range")
        return cls(protocol.upper(), host, int(port) if port else None, params)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.protocol} {self.host}{port}{self.params}"

    @property
    def sent_by(self) -> Address:
        """Host (without brackets, lower case) and port, the default port filled in."""
        return bare(self.host).lower(), self.port or default_port(self.protocol)

    def param(self, name: str) -> str | None:
        """The value of a parameter, "" when it has none, None when it is absent."""
        found = parse_params(self.params)
        return (found[name] or "") if name in found else None

    @property
    def branch(self) -> str:
        """The branch parameter; "" when it is absent, or the magic cookie alone, which identifies nothing."""
        branch = self.param("branch") or ""
        return "" if branch == MAGIC_COOKIE else branch

    @property
    def reply_to(self) -> Address:
        """Where the response goes (RFC 3261 section 18.2.2, RFC 3581 section 4); over a stream only once the connection is closed."""
        params = parse_params(self.params)
        host, port = self.sent_by
        if self.protocol != "UDP":
            return bare(params.get("received") or host), port
        if maddr := params.get("maddr"):
            return bare(maddr), port
        rport = params.get("rport") or ""
        return bare(params.get("received") or host), int(rport) if rport.isdigit() and 0 < int(rport) < 65536 else port


def bare(host: str) -> str:
    """The host without the brackets of an IPv6 reference."""
    return host[1:-1] if host[:1] == "[" else host


def bracketed(host: str) -> str:
    """The host as it stands in a URI or Via: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and host[0] != "[" else host


def arrived(value: str, source: Address) -> tuple[str, Address]:
    """The Via value as the server transport that took the request from `source` passes it on, and where the response goes.

    received is added when the source is not what sent-by says, and always beside rport (RFC 3261 section 18.2.1, RFC 3581
    section 4). A received or an rport value that came along is only the sender's claim, and is replaced. ParseError when malformed.
    """
    via = Via.parse(value)
    asks_rport = _RPORT.search(value)
    if asks_rport is None and bare(via.host).lower() == source[0] and not _RECEIVED.search(value):
        return value, via.reply_to
    value = _RECEIVED.sub("", value).rstrip()
    if asks_rport is not None:
        value = _RPORT.sub(f";rport={source[1]}", value, count=1)
    value = f"{value};received={source[0]}"
    return value, Via.parse(value).reply_to
