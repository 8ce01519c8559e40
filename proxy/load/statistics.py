"""Reads what SIPp writes: its statistics (-trace_stat), response times (-trace_rtt) and errors (-trace_err)."""

from __future__ import annotations

import re
from pathlib import Path

from proxy.load.result import NO_ANSWER, NO_ANSWER_AGAIN, Sample

# Columns of SIPp 3.6 with calls that failed, and the reason in words.
_FAILURES = {
    "FailedCannotSendMessage(C)": "could not be sent",
    "FailedMaxUDPRetrans(C)": NO_ANSWER_AGAIN,
    "FailedTcpConnect(C)": "connection refused",
    "FailedTcpClosed(C)": "connection closed",
    "FailedUnexpectedMessage(C)": "another message came than the scenario expects",
    "FailedCallRejected(C)": "rejected",
    "FailedOutboundCongestion(C)": "could not be sent fast enough",
    "FailedTimeoutOnRecv(C)": NO_ANSWER,
    "FailedTimeoutOnSend(C)": "not sent in time",
}
_STAMP = re.compile(r"\d{4}-\d\d-\d\d\t[\d:.]+\t[\d.]+: ")
# What tells one call from another, and what SIPp says of itself, is left out; of a message its start line is kept.
_NOISE = re.compile(
    r"(?i)call-id:? '?[^\s',]+'?,? ?|(?<=dead call )\S+ "
    r"|Resolving remote host '[^']*'\.\.\. Done\.|There were more errors, see '[^']*' file"
    r"| (?:Via|From|To|Call-ID): .*"
)
_MOST_ERRORS = 5


class StatFile:
    """The file of -trace_stat while SIPp is writing it: `read` takes what is new."""

    def __init__(self, file: Path) -> None:
        self.last: dict[str, str] = {}
        self._file = file
        self._offset = 0
        self._columns: list[str] = []

    def read(self) -> list[Sample]:
        """The samples of the whole lines that came since the last call; none while there is no file."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._offset)
                lines, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(lines) + len(newline)
        return [sample for line in lines.decode("utf-8", "replace").splitlines() if (sample := self._sample(line.split(";")))]

    def failures(self) -> dict[str, int]:
        """Calls that failed so far, by reason."""
        known = {reason: int(self.last.get(column) or 0) for column, reason in _FAILURES.items()}
        known["another reason"] = int(self.last.get("FailedCall(C)") or 0) - sum(known.values())
        return {reason: count for reason, count in known.items() if count > 0}

    def _sample(self, fields: list[str]) -> Sample | None:
        if not self._columns:
            self._columns = fields
            return None
        self.last = row = dict(zip(self._columns, fields, strict=False))
        return Sample(
            seconds=round(_epoch(row["CurrentTime"]) - _epoch(row["StartTime"]), 3),
            started=int(row["TotalCallCreated"]),
            open=int(row["CurrentCall"]),
            succeeded=int(row["SuccessfulCall(C)"]),
            failed=int(row["FailedCall(C)"]),
            retransmissions=int(row["Retransmissions(C)"]),
        )


def response_times(directory: Path) -> list[float]:
    """The times of -trace_rtt in milliseconds, ascending, of response time 1 of each call. SIPp counts whole milliseconds."""
    times: list[float] = []
    for file in directory.glob("*_rtt.csv"):
        with file.open() as lines:
            rows = (line.rstrip("\n").split(";") for line in lines)
            times += [float(row[1]) for row in rows if len(row) == 3 and row[2] == "1"]
    return sorted(times)


def error_lines(text: str) -> list[str]:
    """What a file of -trace_err or SIPp's standard error says, each thing once, Call-IDs left out; the first few."""
    entries = [_NOISE.sub("", " ".join(entry.split())).strip() for entry in _STAMP.split(text)[1:]]
    return list(dict.fromkeys(entry for entry in entries if entry))[:_MOST_ERRORS]


def _epoch(stamp: str) -> float:
    """``2026-01-31\t12:00:00.000000\t1769860800.000000`` in seconds."""
    return float(stamp.rpartition("\t")[2])
