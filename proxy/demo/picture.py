"""Numbers over time as text: one line, or a chart. ASCII where the terminal has nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ASCII = " ...::::#"


def line(values: Sequence[float], width: int, unicode: bool = True) -> str:
    """The last `width` values as a line of bars, the highest one full."""
    shown, top = values[-width:], max(values, default=0)
    blocks = _EIGHTHS if unicode else _ASCII
    return "".join(blocks[max(1, round(value / top * 8)) if value else 0] for value in shown) if top else ""


def chart(values: Sequence[float], width: int, height: int, unicode: bool = True) -> list[str]:
    """All values as bars, `height` lines from the top down; more values than columns: the highest of each column."""
    columns = _columns(values, width)
    top = max(columns, default=0)
    blocks = _EIGHTHS if unicode else _ASCII
    eighths = [round(value / top * height * 8) if top else 0 for value in columns]
    return ["".join(blocks[min(8, max(0, bar - 8 * row))] for bar in eighths) for row in reversed(range(height))]


def _columns(values: Sequence[float], width: int) -> list[float]:
    """The values in `width` columns at most; few values are drawn wider."""
    if len(values) > width:
        edges = [index * len(values) // width for index in range(width + 1)]
        return [max(values[start:end]) for start, end in pairwise(edges)]
    wide = width // len(values) if values else 1
    return [value for value in values for _ in range(wide)]
