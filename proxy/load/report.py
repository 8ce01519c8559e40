"""Results for people (a summary on the terminal) and for programs (result.json, progress.csv)."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from proxy.load.result import Result, Sample

PERCENTILES = (50, 90, 99)


def as_dict(result: Result) -> dict[str, object]:
    """The result as plain data. Times in seconds, response times in milliseconds, null where nothing was answered."""
    job, final = result.job, result.final
    return {
        "scenario": job.scenario.name,
        "target": job.destination,
        "transport": job.transport,
        "sender": result.sender,
        "asked": {"rate": job.rate, "calls": job.calls, "duration": job.duration},
        "succeeded": result.succeeded,
        "interrupted": result.interrupted,
        "seconds": final.seconds,
        "rate": round(final.rate, 3),
        "calls": {"started": final.started, "succeeded": final.succeeded, "failed": final.failed, "open": final.open},
        "failures": dict(result.failures),
        "retransmissions": final.retransmissions,
        "response_time_ms": {
            "resolution": result.resolution,
            "mean": _rounded(result.mean),
            **{f"p{percent}": _rounded(result.percentile(percent)) for percent in PERCENTILES},
            "max": _rounded(result.percentile(100)),
        },
        "callee": asdict(result.callee) if result.callee else None,
        "complaints": result.complaints,
        "errors": list(result.errors),
    }


def write(result: Result, directory: Path) -> None:
    """Write result.json and progress.csv (one row for each sample) into the directory, which is made when it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "result.json").write_text(json.dumps(as_dict(result), indent=2) + "\n")
    with (directory / "progress.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Sample)])
        rows.writeheader()
        rows.writerows(asdict(sample) for sample in result.samples)


def show(result: Result, console: Console) -> None:
    """Print the summary, and what is wrong where something is."""
    job, final = result.job, result.final
    table = Table.grid(padding=(0, 2))
    table.add_row("calls", f"{final.started:,} started, {final.succeeded:,} succeeded, {final.failed:,} failed")
    if result.callee:
        table.add_row("callee", f"{result.callee.succeeded:,} whole calls, {result.callee.failed:,} broken ones")
    table.add_row("rate", f"{final.rate:,.1f} calls/s reached of {job.rate:,.1f} asked, {final.seconds:.1f} s")
    table.add_row("retransmissions", f"{final.retransmissions:,}")
    table.add_row("response time", _times(result))
    for reason, count in result.failures.items():
        table.add_row("failed", f"{count:,}: {reason}")
    console.print(f"[bold]{job.scenario.name}[/] to {job.destination} with {'SIPp' if result.sender == 'sipp' else 'the built-in sender'}")
    console.print(table)
    for line in result.errors:
        console.print(f"  sipp: {line}", markup=False, highlight=False)
    verdict = "[green]all calls succeeded[/]" if result.succeeded else f"[red]{'; '.join(result.complaints)}[/]"
    console.print(("interrupted; " if result.interrupted else "") + verdict)


def _times(result: Result) -> str:
    values = {"mean": result.mean, **{f"p{percent}": result.percentile(percent) for percent in PERCENTILES}}
    shown = [f"{name} {milliseconds(value, result.resolution)}" for name, value in values.items() if value is not None]
    return ", ".join(shown) or "none: no call was answered"


def milliseconds(value: float | None, resolution: float) -> str:
    """A response time for people. SIPp counts in whole milliseconds: its 0 means less than 1."""
    if value is None:
        return "-"
    return f"< {resolution:g} ms" if value < resolution else f"{value:.1f} ms"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
