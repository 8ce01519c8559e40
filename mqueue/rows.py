"""Which rows of a table a save replaces, and what a row holds."""

from __future__ import annotations

from typing import NamedTuple

Pair = tuple[str, str]
"""A key and a value."""


class Rows(NamedTuple):
    """The rows with ``after < id <= upto``; ``after`` None: from the first on."""

    upto: int
    after: int | None = None
