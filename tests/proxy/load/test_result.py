"""Verdicts, figures and files of a result."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from proxy.load import report
from proxy.load.job import Job
from proxy.load.result import Result, Sample
from proxy.load.scenarios import SCENARIOS

JOB = Job(SCENARIOS["message"], ("192.0.2.1", 5060), "tcp", 50.0, 100, None, "192.0.2.2")
GOOD = Result(
    JOB,
    "sipp",
    [Sample(1.0, 50, 2, 48, 0, 0), Sample(2.0, 100, 0, 100, 0, 1)],
    response_times=[float(number) for number in range(100)],
    resolution=1.0,
)
BAD = replace(GOOD, samples=[Sample(2.0, 100, 0, 99, 1, 1)], failures={"no answer in time": 1}, errors=["[red]line[/]"])


def shown(result: Result) -> str:
    console = Console(file=io.StringIO(), width=80)
    report.show(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(("percent", "expected"), [(0, 0.0), (1, 0.0), (50, 49.0), (99, 98.0), (99.5, 99.0), (100, 99.0)])
def test_percentiles_by_nearest_rank(percent: float, expected: float) -> None:
    assert GOOD.percentile(percent) == expected


def test_without_answers_there_are_no_response_times() -> None:
    nothing = replace(BAD, response_times=())
    assert (nothing.mean, nothing.percentile(50)) == (None, None)
    assert "none: no call was answered" in shown(nothing)


def test_a_callee_that_saw_less_is_a_failure() -> None:
    assert replace(GOOD, callee=Sample(2.0, 100, 0, 100, 0)).succeeded
    assert not replace(GOOD, callee=Sample(2.0, 100, 0, 99, 0)).succeeded
    assert not replace(GOOD, callee=Sample(2.0, 100, 0, 100, 1)).succeeded


def test_a_load_without_any_call_did_not_succeed() -> None:
    assert not replace(GOOD, samples=[]).succeeded


def test_the_summary_fits_and_tells() -> None:
    text = shown(GOOD)
    assert "100 started, 100 succeeded, 0 failed" in text
    assert "50.0 calls/s reached of 50.0 asked" in text
    assert "p50 49.0 ms, p90 89.0 ms, p99 98.0 ms" in text
    assert text.rstrip().endswith("all calls succeeded")
    assert max(map(len, text.splitlines())) <= 80


def test_the_summary_of_a_failure_has_its_reason() -> None:
    text = shown(BAD)
    assert "1: no answer in time" in text
    assert "sipp: [red]line[/]" in text
    assert "1 of 100 calls failed" in text


def test_below_its_resolution_a_time_is_less_than_it() -> None:
    assert [report.milliseconds(value, 1.0) for value in (0.0, 1.0, None)] == ["< 1 ms", "1.0 ms", "-"]
    assert report.milliseconds(0.04, 0.0) == "0.0 ms"


def test_files_for_programs(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "here"
    report.write(BAD, directory)
    result = json.loads((directory / "result.json").read_text())
    assert result["succeeded"] is False
    assert result["target"] == "tcp:192.0.2.1:5060"
    assert result["calls"] == {"started": 100, "succeeded": 99, "failed": 1, "open": 0}
    assert result["response_time_ms"] == {"resolution": 1.0, "mean": 49.5, "p50": 49.0, "p90": 89.0, "p99": 98.0, "max": 99.0}
    with (directory / "progress.csv").open() as file:
        assert [row["succeeded"] for row in csv.DictReader(file)] == ["99"]
