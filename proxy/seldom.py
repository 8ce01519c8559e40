"""Warnings that anybody on the network can bring about: each kind is told once a second at most, the counters have the rest."""

from __future__ import annotations

import logging
from time import monotonic

_INTERVAL = 1.0  # seconds between two warnings of a kind

_told: dict[tuple[str, str], float] = {}  # by logger and text: as many as there are calls in the program


def warn_seldom(log: logging.Logger, text: str, *arguments: object) -> None:
    """Log a warning, unless one with this text (before its arguments) was logged within the last second."""
    now = monotonic()
    if now - _told.get((log.name, text), float("-inf")) >= _INTERVAL:
        _told[log.name, text] = now
        log.warning(text, *arguments)
