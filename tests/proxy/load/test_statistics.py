"""What SIPp 3.6 writes, read."""

from __future__ import annotations

from pathlib import Path

from proxy.load.result import Sample
from proxy.load.statistics import StatFile, error_lines, response_times

COLUMNS = (
    "StartTime;CurrentTime;TotalCallCreated;CurrentCall;SuccessfulCall(C);FailedCall(C);FailedMaxUDPRetrans(C);"
    "FailedUnexpectedMessage(C);Retransmissions(C);\n"
)
START = "2026-01-31\t12:00:00.000000\t1769860800.000000"


def row(seconds: float, *counts: int) -> str:
    now = f"2026-01-31\t12:00:00.000000\t{1769860800 + seconds:.6f}"
    return ";".join([START, now, *map(str, counts)]) + ";\n"


def test_samples_of_whole_lines_once(tmp_path: Path) -> None:
    file = tmp_path / "stat.csv"
    statistics = StatFile(file)
    assert statistics.read() == []
    file.write_text(COLUMNS)
    assert statistics.read() == []
    second = row(1.5, 20, 5, 15, 0, 0, 0, 2)
    with file.open("a") as out:
        out.write(row(0.5, 10, 3, 7, 0, 0, 0, 1) + second[:20])
    assert statistics.read() == [Sample(0.5, 10, 3, 7, 0, 1)]
    with file.open("a") as out:
        out.write(second[20:])
    assert statistics.read() == [Sample(1.5, 20, 5, 15, 0, 2)]
    assert statistics.read() == []


def test_failures_by_reason_add_up(tmp_path: Path) -> None:
    file = tmp_path / "stat.csv"
    file.write_text(COLUMNS + row(1, 10, 0, 4, 6, 2, 3, 0))
    statistics = StatFile(file)
    statistics.read()
    assert statistics.failures() == {
        "no answer to any retransmission": 2,
        "another message came than the scenario expects": 3,
        "another reason": 1,
    }


def test_response_times_of_the_first_request_only(tmp_path: Path) -> None:
    (tmp_path / "call_123_rtt.csv").write_text("Date_ms;response_time_ms;rtd_no\n4.001;3;1\n4.002;9;2\n4.003;0.5;1\nbroken\n")
    assert response_times(tmp_path) == [0.5, 3.0]


def test_errors_once_without_what_tells_one_call_from_another() -> None:
    stamp = "2026-01-31\t12:00:00.000000\t1769860800.000000: "
    unexpected = (
        "Aborting call on unexpected message for Call-Id '{}-99@127.0.0.1': while expecting '200' (index 1), received "
        "'SIP/2.0 483 Too Many Hops\r\nVia: SIP/2.0/TCP 127.0.0.1;branch={}\r\n\r\n'\n"
    )
    text = "The following events occurred:\n" + "".join(stamp + unexpected.format(number, number) for number in range(9))
    assert error_lines(text + stamp + "There were more errors, see 'errors.log' file\n") == [
        "Aborting call on unexpected message for : while expecting '200' (index 1), received 'SIP/2.0 483 Too Many Hops"
    ]
