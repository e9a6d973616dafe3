"""Figures of several rounds, side by side with what they are compared to."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Row = Mapping[str, Sequence[float]]  # figures of each round, by column


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of figures.

    Attributes:
        key: names the table in the file of the last run.
        head: of the column of names.
        columns: in the order of the print; a row may lack some.
        ratios: columns that are followed by their ratio to the base.
        base: of each row (by name) the row that it is compared to; its own name for the base itself.
    """

    key: str
    title: str
    head: str
    columns: Sequence[str]
    rows: Mapping[str, Row]
    ratios: Sequence[str] = ()
    base: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def text(self) -> str:
        """Return it as Markdown that reads well as it is."""
        headers = [self.head]
        for column in self.columns:
            headers += [column, ""] if column in self.ratios else [column]
        lines = [[name, *self._cells(name, row)] for name, row in self.rows.items()]
        return "\n".join([markdown(self.title, headers, lines), *(f"{note}\n" for note in self.notes)])

    def _cells(self, name: str, row: Row) -> list[str]:
        cells = []
        for column in self.columns:
            figures = row.get(column, ())
            cells.append(spread(figures) if figures else "-")
            if column in self.ratios:
                base = self.rows.get(self.base.get(name, ""), {}).get(column, ())
                cells.append(ratio(figures, base) if figures and base else "-")
        return cells


def spread(values: Sequence[float]) -> str:
    """Return the median of the rounds, and their least and greatest."""
    middle, least, greatest = (figure(one) for one in (statistics.median(values), min(values), max(values)))
    return middle if least == greatest else f"{middle} ({least}-{greatest})"


def ratio(values: Sequence[float], base: Sequence[float]) -> str:
    """Return how many times the base the median is, with the ends of what the rounds allow."""
    below = statistics.median(base)
    if not below:
        return "-"
    middle = figure(statistics.median(values) / below)
    if len(values) == len(base) == 1 or not min(base):
        return f"{middle}x"
    least, greatest = figure(min(values) / max(base)), figure(max(values) / min(base))
    return f"{middle}x ({least}-{greatest})" if least != greatest else f"{middle}x"


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
