"""Progress of a load while it runs: a bar on a terminal, else a plain line every few seconds."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from proxy.load.job import Job
from proxy.load.result import Sample

_LINE_EVERY = 2.0  # seconds between plain lines


class Live:
    """Shows samples between `with` and its end."""

    def __init__(self, job: Job, console: Console) -> None:
        self._console = console
        self._next_line = _LINE_EVERY
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[figures]}"), console=console, transient=True
            )
            self._task = self._bar.add_task(job.scenario.name, total=job.calls, figures="starting")

    def __enter__(self) -> Live:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, sample: Sample) -> None:
        """Show how far it is."""
        if self._bar:
            self._bar.update(self._task, completed=sample.succeeded + sample.failed, figures=_figures(sample))
        elif sample.seconds >= self._next_line:
            self._next_line = sample.seconds + _LINE_EVERY
            self._console.print(f"{sample.seconds:5.0f} s  {_figures(sample)}", highlight=False)


def _figures(sample: Sample) -> str:
    return f"{sample.succeeded:,} ok, {sample.failed:,} failed, {sample.open:,} open, {sample.rate:,.0f}/s"
