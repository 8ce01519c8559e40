"""What the demo shows when a part of it is over."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from proxy.demo.child import Moment
from proxy.demo.picture import chart
from proxy.demo.traffic import title
from proxy.load.report import milliseconds
from proxy.load.result import Result

_CHART = (60, 6)  # columns and lines: with its scale it fits into 80 columns


def show_loads(console: Console, results: Sequence[Result]) -> None:
    """One row for each load."""
    table = Table(title="What was sent", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("requests")
    for name in ("calls", "failed", "again", "calls/s", "p50", "p99"):
        table.add_column(name, justify="right")
    for result in results:
        final = result.final
        times = [milliseconds(result.percentile(percent), result.resolution) for percent in (50, 99)]
        counts = [f"{count:,}" for count in (final.started, final.failed, final.retransmissions)]
        table.add_row(title(result.job), *counts, f"{final.rate:,.0f}", *times)
    console.print(table)


def show_proxy(console: Console, moment: Moment) -> None:
    """What the proxy counted."""
    counters, queue = moment.counters, moment.queue
    table = Table.grid(padding=(0, 2))
    answers = ", ".join(f"{code}: {count:,}" for code, count in sorted(counters["replies"].items()))
    table.add_row("requests", f"{counters['requests']:,} over UDP and TCP")
    table.add_row("answers", answers or "none")
    table.add_row(
        "queue", f"{queue['added']:,} added, {queue['fetched']:,} taken by the timer, {queue['dropped']:,} dropped as it was full"
    )
    table.add_row("timer", ", ".join(f"{name}: {count:,} runs" for name, count in counters["timer_runs"].items()) or "none")
    table.add_row("no answer", ", ".join(f"{count:,} {reason}" for reason, count in counters["drops"].items()) or "none")
    table.add_row("UDP lost", f"{counters['kernel_drops']:,} datagrams, as the socket was full")
    broken = sum(counters["parse_errors"].values()) + sum(counters["route_errors"].values())
    table.add_row("errors", f"{broken:,}")
    console.print("\n[bold]What the proxy did[/]")
    console.print(table)


def show_depth(console: Console, moments: Sequence[Moment]) -> None:
    """The depth of the queue over time."""
    width, height = _CHART
    sizes = [moment.size for moment in moments]
    rows = chart(sizes, width, height, console.options.encoding.startswith("utf"))
    labels = [f"{max(sizes):,}", *[""] * (height - 2), "0"]
    console.print("\n[bold]Items on the queue[/]")
    for label, row in zip(labels, rows, strict=True):
        console.print(f"{label:>9} [cyan]{row}[/]")
    drawn = max(map(len, rows))
    end = f"{moments[-1].seconds:.0f} s"
    console.print(f"{'':9} 0 s{end:>{max(0, drawn - 3)}}")


def show_rows(console: Console, rows: Sequence[tuple[int, str, str]], count: int) -> None:
    """The first rows of the table, and how many there are."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for name in ("id", "key", "val"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(str, row))
    if count > len(rows):
        table.add_row("...", f"and {count - len(rows):,} more", "")
    console.print(table)


def show_checks(console: Console, checks: Sequence[tuple[bool, str]]) -> None:
    """What went as it should, and what did not."""
    console.print()
    for good, text in checks:
        console.print(f"[green]ok[/]      {text}" if good else f"[red]FAILED[/]  {text}")
