"""Figures of several rounds, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float]) -> str:
    """Return the median of the rounds, and their least and greatest."""
    middle = figure(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({figure(min(values))}-{figure(max(values))})"


def ratio(values: Sequence[float], base: Sequence[float]) -> str:
    """Return how many times the base the median is."""
    below = statistics.median(base)
    return f"{figure(statistics.median(values) / below)}x" if below else "-"


def figure(value: float) -> str:
    """Return a number with three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def markdown(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that reads well as it is and in Markdown; the first column is text, the others are figures."""
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *others])} |"

    rule = f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])
    return "\n".join([f"{title}\n", line(headers), rule, *map(line, rows), ""])
