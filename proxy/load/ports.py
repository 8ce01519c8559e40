"""Local ports that nobody has."""

from __future__ import annotations

import secrets
import socket

from proxy.load.errors import LoadError

# Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range starts at 32768): none is taken meanwhile.
_FIRST, _COUNT = 20000, 12000
_TRIES = 200

_given: set[int] = set()


def free_port(host: str) -> int:
    """A port that is free for UDP and TCP on `host` and was not given before; LoadError when the address is not of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    error: OSError | None = None
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_COUNT)
        if port in _given:
            continue
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(family, kind) as probe:
                    probe.bind((host, port))
        except OSError as refused:
            error = refused
            continue
        _given.add(port)
        return port
    raise LoadError(f"no port of {host} can be had: {error and error.strerror}; give an address of this machine with --bind")
