"""What would run: the plan that ``mqproxy check`` prints, or everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from mqueue.db_url import DbUrl
from proxy.config import Listen
from proxy.errors import ConfigError, ScriptError
from proxy.loader import load
from proxy.script import Script


def check(script: Path, listen: tuple[str, ...]) -> int:
    """Print the plan of a route file, or its problems on standard error; the exit status."""
    problems: list[str] = []
    addresses = [address for text in listen if (address := _listen(text, problems))]
    try:
        loaded = load(script)
    except ScriptError as error:
        problems = [*map(str, error.problems), *problems]
    if problems:
        for problem in problems:
            click.echo(f"mqproxy: {problem}", err=True)
        click.echo(f"mqproxy: {len(problems)} {'problem' if len(problems) == 1 else 'problems'} in {script}", err=True)
        return 1
    for line in plan_lines(loaded, addresses):
        click.echo(line)
    for warning in _in_use(addresses):
        click.echo(f"mqproxy: note: {warning}", err=True)
    return 0


def plan_lines(script: Script, addresses: list[Listen]) -> Iterator[str]:
    """The plan, a line for each listener, route, queue and timer."""
    yield script.file
    for address in addresses:
        yield f"  listen    {address}"
    for route in script.all_routes():
        yield f"  route     {', '.join(route.methods) or 'every other method'} → {route.name} ({_kind(route.is_async)}, {route.where})"
    for definition in script.mqueue.definitions.values():
        size = f"{definition.size} items at most" if definition.size else "no limit"
        mode = definition.addmode.name.lower().replace("_", " ")
        yield f"  queue     {definition.name}: {size}, {mode}, dbmode {definition.dbmode.name.lower()}"
    for timer in script.timers:
        yield f"  timer     {timer.name}: every {timer.interval:g} s ({_kind(timer.is_async)}, {timer.where})"
    if script.mqueue.db_url:
        yield f"  database  {DbUrl.parse(script.mqueue.db_url)}"


def _kind(is_async: bool) -> str:
    return "async def" if is_async else "def"


def _listen(text: str, problems: list[str]) -> Listen | None:
    try:
        listen = Listen.parse(text)
        listen.resolve()
    except ConfigError as error:
        problems.append(str(error))
        return None
    return listen


def _in_use(addresses: list[Listen]) -> Iterator[str]:
    """Why an address cannot be bound now. A note only: it may be this very proxy that runs there."""
    for address in addresses:
        try:
            address.try_bind()
        except ConfigError as error:
            yield str(error)
