"""How long after its start does a process answer rightly, and what does it hold when nobody asks?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from bench import shop
from bench.connection import ask
from bench.scene import Bench, Cluster, Server, filled_prometheus, running_adapter
from bench.table import Table
from bench.usage import cpu_seconds, resident_mib

_IDLE_SECONDS = 5.0
_ADAPTER: Final = "adapter"
_FLOOR: Final = "do-nothing application"
_COLUMNS: Final = ("first right answer, s", "CPU until then, s", "idle memory, MiB", "idle CPU, ms per s")


def start_tables(bench: Bench) -> list[Table]:
    """Start the adapter and the do-nothing application in turn, and return the table.

    Raises:
        TimeoutError: one never answered rightly.
    """
    rounds = 1 if bench.quick else 5
    rows: dict[str, dict[str, list[float]]] = {_ADAPTER: {}, _FLOOR: {}}
    cluster = Cluster(bench.home / "cluster-start", pods=shop.pods())
    flags = [*cluster.flags, "--metrics-relist-interval=1h"]
    with filled_prometheus(bench, "start", shop.series(now_seconds=time.time())) as prometheus, cluster.running():
        for number in range(rounds):
            bench.say(f"start: round {number + 1} of {rounds}")
            with running_adapter(
                bench, "start", rules=shop.RULES, prometheus_url=prometheus.url, flags=flags
            ) as adapter:
                target = cluster.caller(adapter.url)
                first = adapter.wait_for(target, shop.list_path("warm"), shop.is_right)
                _add(rows[_ADAPTER], adapter, first, idle_seconds=1.0 if bench.quick else _IDLE_SECONDS)
                body = ask(target, shop.list_path("warm")).body
            with cluster.floor(body) as (floor, first):
                _add(rows[_FLOOR], floor, first, idle_seconds=1.0)
    title = f"Start of a process, 20 pods; {rounds} rounds; memory and CPU after {_IDLE_SECONDS:g} s without a request"
    ratios = ("first right answer, s", "idle memory, MiB")
    base: Mapping[str, str] = dict.fromkeys(rows, _FLOOR)
    return [Table(key="start", title=title, head="process", columns=_COLUMNS, rows=rows, ratios=ratios, base=base)]


def _add(row: dict[str, list[float]], server: Server, first: float, *, idle_seconds: float) -> None:
    used = cpu_seconds(server.pid)
    time.sleep(idle_seconds)
    figures = (first, used, resident_mib(server.pid), (cpu_seconds(server.pid) - used) / idle_seconds * 1000)
    for column, value in zip(_COLUMNS, figures, strict=True):
        row.setdefault(column, []).append(value)
