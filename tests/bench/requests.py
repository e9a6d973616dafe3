"""What does a list of 20 pods cost? The adapter, warm and cold, against the bare query and against a server that does nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from bench import shop
from bench.connection import Target, ask
from bench.load import Loaded, closed_loop
from bench.scene import Bench, Cluster, Server, filled_prometheus, running_adapter
from bench.table import Table
from bench.truth import Readings, check, custom_list, vector
from bench.usage import peak_resident_mib, resident_mib

CLIENTS: Final = (1, 8, 32)
_FLOOR, _BARE = "floor", "bare"
_NAMES = {
    "warm": "adapter, warm",
    "cold": "adapter, cold",
    _BARE: "the bare query, no TLS",
    _FLOOR: "do-nothing application, TLS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where to ask, whom it costs, and how to read the answer."""

    target: Target
    path: str
    pid: int
    prometheus_pid: int
    read: Callable[[bytes], Readings]


@dataclass(slots=True)
class _Costs:
    rows: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, name: str, column: str, value: float) -> None:
        self.rows.setdefault(_NAMES[name], {}).setdefault(column, []).append(value)


def request_tables(bench: Bench) -> list[Table]:
    """Measure each way in turn, round by round, and return the tables.

    Raises:
        WrongFigureError: an answer has not exactly the right pods and values, or there was none.
    """
    rounds, requests, seconds = (1, 100, 0.3) if bench.quick else (5, 500, 2.0)
    costs = _Costs()
    with _running(bench) as (adapter, ways):
        for number in range(rounds):
            for name, way in ways.items():
                bench.say(f"requests: round {number + 1} of {rounds}, {_NAMES[name]}")
                _measure(name, way, costs, requests=requests, seconds=seconds)
        memory = f"Adapter memory after that: {resident_mib(adapter.pid):.0f} MiB, peak"
        memory += f" {peak_resident_mib(adapter.pid):.0f} MiB."
    title = f"A list of {shop.PODS} pods; {rounds} rounds: {requests} requests by one client, then {seconds:g} s of 1, 8, 32"
    columns = [
        "p50, ms",
        "p99, ms",
        "CPU, ms",
        "Prometheus CPU, ms",
        *(_of_clients(clients, "per s") for clients in CLIENTS),
        _of_clients(CLIENTS[-1], "CPU, ms"),
        _of_clients(CLIENTS[-1], "client's share"),
    ]
    return [
        Table(
            key="requests",
            head="asked of",
            columns=columns,
            rows=costs.rows,
            title=f"{title}; ratios to the do-nothing application",
            ratios=("p50, ms", _of_clients(CLIENTS[-1], "per s"), _of_clients(CLIENTS[-1], "CPU, ms")),
            base=dict.fromkeys(costs.rows, _NAMES[_FLOOR]),
            notes=(memory,),
        ),
        _against_bare(costs),
    ]


def _against_bare(costs: _Costs) -> Table:
    """Return the column that counts for a cold answer: how much longer than the query that it needs."""
    bare = costs.rows[_NAMES[_BARE]]["p50, ms"]
    rows = {
        name: {"p50, ms": row["p50, ms"], "more than the bare query, ms": _less(row["p50, ms"], bare)}
        for name, row in costs.rows.items()
    }
    return Table(
        key="requests-bare",
        title="The same against the bare query",
        head="asked of",
        columns=("p50, ms", "more than the bare query, ms"),
        rows=rows,
        ratios=("p50, ms",),
        base=dict.fromkeys(rows, _NAMES[_BARE]),
    )


def _less(values: Iterable[float], base: Iterable[float]) -> list[float]:
    """Return the differences within each round."""
    return [value - below for value, below in zip(values, base, strict=True)]


def _of_clients(clients: int, what: str) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}: {what}"


def _measure(name: str, way: _Way, costs: _Costs, *, requests: int, seconds: float) -> None:
    request = [way.target.request(way.path)]
    pids = [way.pid, way.prometheus_pid]
    one = closed_loop(way.target, request, clients=1, pids=pids, count=requests)
    _check(way, one)
    costs.add(name, "p50, ms", one.p50_ms)
    costs.add(name, "p99, ms", one.p99_ms)
    costs.add(name, "CPU, ms", one.cpu_seconds[way.pid] / one.answered * 1000)
    costs.add(name, "Prometheus CPU, ms", one.cpu_seconds[way.prometheus_pid] / one.answered * 1000)
    for clients in CLIENTS:
        many = closed_loop(way.target, request, clients=clients, pids=pids, seconds=seconds)
        _check(way, many)
        costs.add(name, _of_clients(clients, "per s"), many.per_second)
    costs.add(name, _of_clients(clients, "CPU, ms"), many.cpu_seconds[way.pid] / many.answered * 1000)
    costs.add(name, _of_clients(clients, "client's share"), many.client_share)


def _check(way: _Way, loaded: Loaded) -> None:
    for body in loaded.bodies:
        check(way.path, way.read(body), shop.truth())


@contextlib.contextmanager
def _running(bench: Bench) -> Iterator[tuple[Server, dict[str, _Way]]]:
    cluster = Cluster(bench.home / "cluster-requests", pods=shop.pods())
    flags = [*cluster.flags, "--metrics-relist-interval=1h"]
    with (
        filled_prometheus(bench, "requests", shop.series(now_seconds=time.time())) as prometheus,
        cluster.running(),
        running_adapter(bench, "requests", rules=shop.RULES, prometheus_url=prometheus.url, flags=flags) as adapter,
    ):
        target = cluster.caller(adapter.url)
        for metric in ("warm", "cold"):
            adapter.wait_for(target, shop.list_path(metric), shop.is_right)
        body = ask(target, shop.list_path("warm")).body
        with cluster.floor(body) as (floor, _):
            paths = {
                "warm": (target, shop.list_path("warm"), adapter.pid, custom_list),
                "cold": (target, shop.list_path("cold"), adapter.pid, custom_list),
                _BARE: (
                    Target(url=prometheus.url, headers={}),
                    f"/api/v1/query?query={quote(shop.query())}",
                    prometheus.pid,
                    vector,
                ),
                _FLOOR: (cluster.caller(floor.url), "/", floor.pid, custom_list),
            }
            yield (
                adapter,
                {
                    name: _Way(target=at, path=path, pid=pid, prometheus_pid=prometheus.pid, read=read)
                    for name, (at, path, pid, read) in paths.items()
                },
            )
