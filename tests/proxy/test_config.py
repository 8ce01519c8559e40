"""What the command line may say."""

from __future__ import annotations

import errno
import socket
from contextlib import closing

import pytest

from proxy.config import Listen, parse_alias
from proxy.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "listen", "shown"),
    [
        ("udp:127.0.0.1:5060", Listen("udp", "127.0.0.1", 5060), None),
        ("udp:127.0.0.1", Listen("udp", "127.0.0.1", 5060), "udp:127.0.0.1:5060"),
        ("TCP:127.0.0.1:5070", Listen("tcp", "127.0.0.1", 5070), "tcp:127.0.0.1:5070"),
        ("udp:[::1]:5080", Listen("udp", "::1", 5080), None),
        ("tcp:[::1]", Listen("tcp", "::1", 5060), "tcp:[::1]:5060"),
        ("udp:localhost:0", Listen("udp", "localhost", 0), None),
        (
            " udp:0.0.0.0:5060 advertise 192.0.2.1:5070 ",
            Listen("udp", "0.0.0.0", 5060, ("192.0.2.1", 5070)),
            "udp:0.0.0.0:5060 advertise 192.0.2.1:5070",
        ),
        (
            "udp:0.0.0.0:5060 ADVERTISE sip.example.com",
            Listen("udp", "0.0.0.0", 5060, ("sip.example.com", 5060)),
            "udp:0.0.0.0:5060 advertise sip.example.com:5060",
        ),
        (
            "udp:[::]:5060 advertise [2001:db8::1]",
            Listen("udp", "::", 5060, ("2001:db8::1", 5060)),
            "udp:[::]:5060 advertise [2001:db8::1]:5060",
        ),
    ],
)
def test_listen(text: str, listen: Listen, shown: str | None) -> None:
    assert Listen.parse(text) == listen
    assert str(Listen.parse(text)) == (shown or text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "udp",
        "udp:",
        "sctp:127.0.0.1:5060",
        "127.0.0.1:5060",
        "udp:127.0.0.1:x",
        "udp:127.0.0.1:65536",
        "udp:::1:5060",
        "udp:[::1",
        "udp:127.0.0.1 advertise",
        "udp:127.0.0.1 advertise :5060",
    ],
)
def test_a_wrong_listen_shows_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"listen .*(udp:HOST:PORT|HOST:PORT with a port up to 65535)"):
        Listen.parse(text)


@pytest.mark.parametrize(
    ("text", "alias"),
    [("Example.COM", ("example.com", None)), ("example.com:5070", ("example.com", 5070)), ("[2001:DB8::1]:5060", ("2001:db8::1", 5060))],
)
def test_alias(text: str, alias: tuple[str, int | None]) -> None:
    assert parse_alias(text) == alias


@pytest.mark.parametrize("text", ["", "a b", "::1", "example.com:x"])
def test_a_wrong_alias_shows_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"alias .*: write HOST or HOST:PORT"):
        parse_alias(text)


def test_resolve() -> None:
    assert Listen.parse("udp:127.0.0.1:5070").resolve() == ("127.0.0.1", 5070)
    assert Listen.parse("tcp:[::1]:5070").resolve() == ("::1", 5070)
    with pytest.raises(ConfigError, match=r"nowhere\.invalid is no address of this machine"):
        Listen.parse("udp:nowhere.invalid:5070").resolve()


@pytest.mark.parametrize(("protocol", "kind", "flag"), [("udp", socket.SOCK_DGRAM, "-ulpn"), ("tcp", socket.SOCK_STREAM, "-tlpn")])
def test_a_port_in_use_is_named_with_its_remedy(protocol: str, kind: socket.SocketKind, flag: str) -> None:
    with closing(socket.socket(socket.AF_INET, kind)) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on {protocol}:127\.0\.0\.1:{port}: Address already in use; .*ss {flag}"):
            Listen(protocol, "127.0.0.1", port).try_bind()
    Listen(protocol, "127.0.0.1", port).try_bind()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EADDRINUSE, "another program has it"),
        (errno.EADDRNOTAVAIL, "no interface of this machine has this address"),
        (errno.EACCES, "ports below 1024 need root"),
        (errno.EAFNOSUPPORT, "choose another address"),
    ],
)
def test_every_refusal_has_a_remedy(code: int, remedy: str) -> None:
    refused = Listen("udp", "192.0.2.1", 5060).refused(OSError(code, "what the system says"))
    assert str(refused).startswith("cannot listen on udp:192.0.2.1:5060: what the system says; ")
    assert remedy in str(refused)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="no interface of this machine"):
        Listen.parse("udp:192.0.2.1:5060").try_bind()
