"""The command line: mqproxy run, check, load, demo."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from mqueue import MqueueError
from proxy import log
from proxy.config import DEFAULT_LISTEN, Config, Listen, parse_alias
from proxy.demo.command import demo
from proxy.errors import ConfigError, ScriptError
from proxy.load.command import load
from proxy.version import VERSION

_EXIT_CANNOT_START = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="mqproxy")
def main() -> None:
    """A SIP proxy for prototyping routing logic in Python, with Kamailio's mqueue inside.

    \b
    mqproxy check routes/demo.py     what would run, and everything that is wrong
    mqproxy run routes/demo.py       run it on udp and tcp 127.0.0.1:5060
    mqproxy load message             send it a load of MESSAGE requests with SIPp
    mqproxy demo                     see all of it work, a restart included
    """


_script = click.argument("script", metavar="FILE", type=click.Path(path_type=Path))
_listen = click.option(
    "-l",
    "--listen",
    "listen",
    metavar="PROTO:HOST:PORT",
    multiple=True,
    default=DEFAULT_LISTEN,
    show_default=True,
    help="Listen here; give it several times for several addresses. IPv6 stands in brackets, port 0 takes any free one. "
    "'udp:0.0.0.0:5060 advertise 192.0.2.1:5060' puts the second address into Via.",
)


@main.command()
@_script
@_listen
@click.option(
    "--alias", multiple=True, metavar="HOST[:PORT]", help="A name that is this proxy too, for Route headers; several times for several."
)
@click.option("--reload", is_flag=True, help="Read the route file again whenever it changes (SIGHUP does so too).")
@click.option(
    "--stats", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Log a line of counters this often; 0 is never."
)
@click.option(
    "--stop-timeout",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="What callbacks and timers get to end in.",
)
@click.option(
    "--log-format", type=click.Choice(log.FORMATS), default="human", show_default=True, help="For people, or one JSON object a line."
)
@click.option("--log-level", type=click.Choice(log.LEVELS), default="info", show_default=True, help="Lines from this level up.")
def run(
    script: Path,
    listen: tuple[str, ...],
    alias: tuple[str, ...],
    reload: bool,
    stats: float,
    stop_timeout: float,
    log_format: str,
    log_level: str,
) -> None:
    """Run the routes and timers of FILE until SIGTERM or Ctrl-C; queues with a dbmode are saved then.

    \b
    mqproxy run routes/demo.py
    mqproxy run routes/demo.py --listen udp:127.0.0.1:5080 --listen 'tcp:[::1]:5080'
    mqproxy run routes/demo.py --reload --log-level debug
    """
    from proxy import server

    log.configure(log_format, log_level)
    try:
        addresses = tuple(Listen.parse(text) for text in listen)
        config = Config(script, addresses, frozenset(map(parse_alias, alias)), reload, stats, stop_timeout)
        server.run(config)
    except (ConfigError, ScriptError, MqueueError) as error:
        _cannot_start(error, as_log_lines=log_format == "json")


@main.command()
@_script
@_listen
def check(script: Path, listen: tuple[str, ...]) -> None:
    """Load FILE, print what would run, and every mistake with its file and line. Exit status 1 when there is one.

    \b
    mqproxy check routes/demo.py
    """
    from proxy import plan

    sys.exit(plan.check(script, listen))


main.add_command(load)
main.add_command(demo)


def _cannot_start(error: Exception, as_log_lines: bool) -> None:
    for line in str(error).splitlines():
        if as_log_lines:
            logging.getLogger("mqproxy").error("cannot start: %s", line)
        else:
            click.echo(f"mqproxy: {line}", err=True)
    sys.exit(_EXIT_CANNOT_START)
