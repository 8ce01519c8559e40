"""What the command line says, checked once and frozen."""

from __future__ import annotations

import errno
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from proxy.errors import ConfigError
from proxy.sip.via import Address, bare, bracketed, default_port
from proxy.transport.base import bound_socket

PROTOCOLS = ("udp", "tcp")
DEFAULT_LISTEN = ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060")

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^:\[\]\s]+)(?::([0-9]+))?")
_LISTEN = re.compile(r"(\w+):(\S+)(?:\s+advertise\s+(\S+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on: protocol (udp or tcp), host without brackets, port (0: any free one), and what Via says instead."""

    protocol: str
    host: str
    port: int
    advertised: Address | None = None

    @classmethod
    def parse(cls, text: str) -> Listen:
        """``udp:127.0.0.1:5060``, ``tcp:[::1]``, ``udp:0.0.0.0:5060 advertise 192.0.2.1:5060`` as in kamailio.cfg; ConfigError."""
        match = _LISTEN.fullmatch(text.strip())
        if match is None or match[1].lower() not in PROTOCOLS:
            raise ConfigError(f"listen {text!r}: write udp:HOST:PORT or tcp:HOST:PORT, IPv6 in brackets, such as udp:[::1]:5060")
        protocol = match[1].lower()
        host, port = _host_port(match[2], text, default_port(protocol.upper()))
        advertised = _host_port(match[3], text, port) if match[3] else None
        return cls(protocol, host, port, advertised)

    def __str__(self) -> str:
        advertised = f" advertise {bracketed(self.advertised[0])}:{self.advertised[1]}" if self.advertised else ""
        return f"{self.protocol}:{bracketed(self.host)}:{self.port}{advertised}"

    def resolve(self) -> Address:
        """The numeric address to bind; ConfigError when the host is no address and no known name."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"listen {self}: {self.host} is no address of this machine ({error})") from None
        return str(found[0][4][0]), self.port

    def try_bind(self) -> None:
        """Bind and let go at once; ConfigError when the address cannot be had now."""
        try:
            bound_socket(socket.SOCK_DGRAM if self.protocol == "udp" else socket.SOCK_STREAM, self.resolve()).close()
        except OSError as error:
            raise self.refused(error) from None

    def refused(self, error: OSError) -> ConfigError:
        """What to tell the user when the address cannot be bound."""
        flag = "u" if self.protocol == "udp" else "t"
        remedy = {
            "EADDRINUSE": f"another program has it (ss -{flag}lpn 'sport = :{self.port}' shows which); stop it, or choose another port",
            "EADDRNOTAVAIL": "no interface of this machine has this address (ip address shows them)",
            "EACCES": "ports below 1024 need root; choose a higher one",
        }
        name = _errno_name(error)
        return ConfigError(f"cannot listen on {self}: {error.strerror}; {remedy.get(name, 'choose another address')}")


@dataclass(frozen=True, slots=True)
class Config:
    """How to run. Times are in seconds; stats 0 means no line of statistics."""

    script: Path
    listen: tuple[Listen, ...]
    aliases: frozenset[tuple[str, int | None]] = frozenset()
    watch: bool = False
    stats: float = 0.0
    stop_timeout: float = 5.0


def parse_alias(text: str) -> tuple[str, int | None]:
    """``example.com`` or ``example.com:5060`` as host (lower case) and port; ConfigError."""
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise ConfigError(f"alias {text!r}: write HOST or HOST:PORT")
    return bare(match[1]).lower(), int(match[2]) if match[2] else None


def _host_port(text: str, whole: str, default: int) -> Address:
    match = _HOST_PORT.fullmatch(text)
    port = int(match[2]) if match and match[2] else default
    if match is None or port > 65535:
        raise ConfigError(f"listen {whole!r}: {text!r} is no HOST:PORT with a port up to 65535, IPv6 in brackets")
    return bare(match[1]), port


def _errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "")
