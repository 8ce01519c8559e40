"""The progress bar: nothing for what is quick, a bar on a terminal, one log line elsewhere."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr

import pytest

from mqueue.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(bar: Bar, *queues: str, to: io.StringIO | None = None) -> str:
    """What `bar` writes to stderr, a terminal, for queues of 10,000 items."""
    with redirect_stderr(to or Terminal()) as stderr:
        for queue in queues:
            for done in (0, 5_000, 10_000):
                bar(queue, done, 10_000)
    return stderr.getvalue()


def test_what_is_quick_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert shown(Bar(after=60), "q") == ""
    assert caplog.messages == []


def test_a_bar_ends_full_and_with_its_line() -> None:
    line = shown(Bar(after=0), "[q]")
    assert "queue [q] " in line
    assert line.endswith("10,000 of 10,000\n")


def test_each_queue_has_a_bar_of_its_own() -> None:
    lines = shown(Bar(after=0), "first", "second").splitlines()
    assert ["queue first" in line for line in lines[:2]] == [True, True]
    assert "queue second" in lines[-1]
    assert "queue first" not in lines[-1]


def test_one_line_in_the_log_without_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mqueue"):
        assert shown(Bar(after=0), "q", to=io.StringIO()) == ""
    assert caplog.messages == ["queue q: 0 of 10000 items done"]
