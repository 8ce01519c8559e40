"""The command `mqproxy demo`. What it takes is imported when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy.errors import LoadError
from proxy.load.command import CANNOT_RUN, INTERRUPTED, sender_option

if TYPE_CHECKING:
    from rich.console import Console

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "routes", _HERE.parents[1] / "routes")  # of a wheel, of a checkout
_SCRIPT = next((place for place in _PLACES if place.is_dir()), _PLACES[-1]) / "demo.py"


@click.command(short_help="See it work: a proxy, a load, a queue, a restart.")
@click.option("--seconds", type=click.FloatRange(min=0.5), default=6.0, show_default=True, help="How long traffic is sent.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the proxy runs: demo.db and proxy.log stay there. By default a directory that is removed at the end.",
)
@click.option(
    "--script",
    type=click.Path(path_type=Path),
    default=_SCRIPT,
    metavar="FILE",
    help="A route file like routes/demo.py, with its queue and database, by default that one.",
)
@sender_option
def demo(seconds: float, directory: Path | None, script: Path, sender: str) -> None:
    """Start a proxy with routes/demo.py, send it traffic, show what its queue and timer did, and restart it before your eyes.

    It takes free ports of the loopback and about 20 seconds. Exit status 0 when all went as it should, 1 when not, 2 when it
    could not run.
    """
    import tempfile

    from rich.console import Console

    console = Console(highlight=False)
    try:
        if directory:
            directory.mkdir(parents=True, exist_ok=True)
            status = _tell(console, script, directory, seconds, sender)
        else:
            with tempfile.TemporaryDirectory(prefix="mqproxy-demo-") as name:
                status = _tell(console, script, Path(name), seconds, sender)
    except (LoadError, OSError) as error:
        click.echo(f"mqproxy: {error}", err=True)
        status = CANNOT_RUN
    sys.exit(status)


def _tell(console: Console, script: Path, directory: Path, seconds: float, sender: str) -> int:
    import asyncio

    from proxy.demo.story import Story
    from proxy.load import choice, runner
    from proxy.load.interrupt import stop_on_signals

    script, directory = script.resolve(), directory.resolve()  # the proxy works in another directory
    if not script.is_file():
        raise LoadError(f"there is no {script}: run the demo in a source checkout, or give a route file with --script")
    send, remark = choice.sender(sender)
    if remark:
        console.print(remark)

    async def tell() -> int:
        stop = stop_on_signals()
        story = Story(console, script, directory, send, stop)
        await story.tell(seconds, with_calls=send is runner.run)
        return INTERRUPTED if stop.is_set() else 0 if story.went_well else 1

    return asyncio.run(tell())
