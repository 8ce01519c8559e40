"""The command `mqproxy load`. What it takes is imported when it runs, so that `mqproxy run` starts as fast as without it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.errors import LoadError
from proxy.load.scenarios import SCENARIOS

if TYPE_CHECKING:
    from rich.console import Console

    from proxy.load.job import Job
    from proxy.load.result import Result

SOME_CALLS_FAILED, CANNOT_RUN, INTERRUPTED = 1, 2, 130

_WIDTH = max(map(len, SCENARIOS))
_HELP = "\n".join(
    [
        "Send a load to a SIP proxy and show what came of it.\n",
        "\b",
        *(f"{row.name:<{_WIDTH}}  {row.proves}" for row in SCENARIOS.values()),
        "\n\b",
        "mqproxy run routes/demo.py                    in one terminal",
        "mqproxy load message --rate 500 --calls 5000  in another",
        "mqproxy load options --transport tcp --duration 10",
        "mqproxy load invite                           with routes/relay.py: the callee is started too",
        "\n\b",
        "Exit status: 0 all calls succeeded, 1 some failed, 2 the load could not run, 130 Ctrl-C.",
    ]
)

sender_option = click.option(
    "--sender",
    type=click.Choice(["auto", "sipp", "builtin"]),
    default="auto",
    show_default=True,
    help="SIPp where it is installed, else the built-in sender; or one of them.",
)


@click.command(help=_HELP, short_help="Send a load to a SIP proxy with SIPp.")
@click.argument("scenario", type=click.Choice(list(SCENARIOS)), metavar="SCENARIO")
@click.option("--target", default="127.0.0.1:5060", show_default=True, metavar="HOST:PORT", help="The proxy; IPv6 stands in brackets.")
@click.option(
    "--transport",
    type=click.Choice(["udp", "tcp", "tcp-per-call"]),
    default="udp",
    show_default=True,
    help="One socket or connection for all calls, or a connection for each.",
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="CALLS/S", help="Calls started each second.")
@click.option("--calls", type=click.IntRange(min=1), metavar="N", help="Calls in all, unless --duration ends them earlier.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="How long calls are started.")
@click.option("--bind", metavar="ADDRESS", help="Local address to send from, by default the one that leads to the target.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where result.json and progress.csv go, by default load-SCENARIO-TIME.",
)
@sender_option
def load(
    scenario: str,
    target: str,
    transport: str,
    rate: float | None,
    calls: int | None,
    duration: float | None,
    bind: str | None,
    output: Path | None,
    sender: str,
) -> None:
    """See _HELP."""
    from rich.console import Console

    from proxy.load.job import Job, parse_target

    console = Console(highlight=False)
    try:
        job = Job.of(SCENARIOS[scenario], parse_target(target), transport, rate=rate, calls=calls, duration=duration, bind=bind)
        result = _run(job, sender, console)
    except LoadError as error:
        click.echo(f"mqproxy: {error}", err=True)
        sys.exit(CANNOT_RUN)
    _report(result, output, console)


def _run(job: Job, sender: str, console: Console) -> Result:
    import asyncio

    from proxy.load import choice, live
    from proxy.load.interrupt import stop_on_signals

    async def run() -> Result:
        with live.Live(job, console) as progress:
            return await send(job, progress.show, stop_on_signals())

    send, remark = choice.sender(sender)
    if remark:
        console.print(remark)
    return asyncio.run(run())


def _report(result: Result, output: Path | None, console: Console) -> None:
    import time

    from proxy.load import report

    report.show(result, console)
    directory = output or Path(f"load-{result.job.scenario.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        report.write(result, directory)
    except OSError as error:
        click.echo(f"mqproxy: cannot write the results to {directory}: {error.strerror}; give another --output", err=True)
        sys.exit(CANNOT_RUN)
    console.print(f"result.json and progress.csv are in {directory}", soft_wrap=True)
    if result.interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(0 if result.succeeded else SOME_CALLS_FAILED)
