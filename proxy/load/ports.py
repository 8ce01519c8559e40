"""Local ports that nobody has."""

from __future__ import annotations

import secrets
import socket

from proxy.errors import LoadError

# Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range starts at 32768): none is taken meanwhile.
_FIRST, _LAST = 20000, 32000
_BLOCK = 4  # ports that belong to one: SIPp takes its media port and the second one after it, whether there is media or not
_TRIES = 200

_given: set[int] = set()


def free_port(host: str) -> int:
    """A port that is free for UDP and TCP on `host`, as are the three after it, and was not given before.

    LoadError when the address is not of this machine.
    """
    error: OSError | None = None
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow((_LAST - _FIRST) // _BLOCK) * _BLOCK
        if port in _given:
            continue
        try:
            _try_block(host, port)
        except OSError as refused:
            error = refused
            continue
        _given.add(port)
        return port
    raise LoadError(f"no port of {host} can be had: {error and error.strerror}; give an address of this machine with --bind")


def _try_block(host: str, first: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(first, first + _BLOCK):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                probe.bind((host, port))
