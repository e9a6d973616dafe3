"""The last run, kept in a file, and what is different now."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.table import Table, figure, markdown

_FOLDER = Path(__file__).resolve().parents[2] / ".bench"
# Less than that is the machine's mood, also where the rounds of two runs do not overlap.
_LEAST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What was measured: a commit (with + if the work tree had changes), a date, and a machine."""

    commit: str
    date: str
    machine: str


def keep(tables: Sequence[Table], stamp: Stamp, *, kind: str) -> str:
    """Write figures over those of the last run, and return what is different; other tables stay as they are.

    `kind` is `full` or `quick`, which are never compared.
    """
    path = _FOLDER / f"{kind}.json"
    before = _read(path)
    told = [_difference(table, before[table.key], stamp) for table in tables if table.key in before]
    now = {
        table.key: {
            "commit": stamp.commit,
            "date": stamp.date,
            "machine": stamp.machine,
            "rows": {name: {column: list(row[column]) for column in row} for name, row in table.rows.items()},
        }
        for table in tables
    }
    _FOLDER.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({**before, **now}, indent=1) + "\n")
    new.replace(path)
    return "\n".join(told)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _difference(table: Table, before: Mapping[str, Any], stamp: Stamp) -> str:
    title = f"Since {before['commit']} of {before['date']}: {table.title}"
    if before["machine"] != stamp.machine:
        title += f"\n(measured on another machine: {before['machine']})"
    changed = list(_changed(table, before["rows"]))
    if not changed:
        return f"{title}\nno figure has changed by more than {_LEAST:.0%} and beyond its spread.\n"
    return markdown(title, ["figure", "then", "now", "now/then"], changed)


def _changed(table: Table, before: Mapping[str, Mapping[str, Sequence[float]]]) -> Iterator[list[str]]:
    for name, row in table.rows.items():
        for column in table.columns:
            then, now = before.get(name, {}).get(column, ()), row.get(column, ())
            if not then or not now or (min(then) <= max(now) and min(now) <= max(then)):
                continue
            old, new = statistics.median(then), statistics.median(now)
            if abs(new - old) > _LEAST * abs(old):
                yield [f"{name}: {column}", figure(old), figure(new), f"{figure(new / old)}x" if old else "-"]
