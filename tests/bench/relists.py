"""What does it cost to learn the metric names of so many series? Label endpoints against the series endpoint."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx
from rig.processes import free_port, wait_until
from rig.prometheus import PrometheusProcess

from bench import shop
from bench.relist_baseline import Row, add, front, kept_whole
from bench.relist_world import METRICS, RULES, listed, series
from bench.scene import Bench, Cluster, PrometheusCounts, Server, filled_prometheus, running_adapter
from bench.table import Table
from bench.truth import WrongFigureError
from bench.usage import cpu_seconds, peak_resident_mib, resident_mib

_LABELS: Final = "label endpoints"
_SERIES: Final = "series endpoint, streamed"
_WHOLE: Final = "series endpoint, kept whole"
_DISCOVERY: Final = "/apis/custom.metrics.k8s.io/v1beta2"
_INTERVAL_SECONDS, _QUICK_INTERVAL_SECONDS = 2, 1
_LATER = 3  # relists after the first
# To look costs the adapter three milliseconds, a third of a relist by labels: so there one look for several relists.
_LOOK_SECONDS = {_LABELS: 8.0, _SERIES: 0.25}
_TIMEOUT_SECONDS = 300.0
_KB, _MB = 1e3, 1e6
_COLUMNS = (
    "first right answer, s",
    "start to listed, s",
    "later relist, s",
    "its CPU, s",
    "Prometheus CPU, s",
    "calls",
    "MB plain",
    "MB on the wire",
    "memory, MiB",
    "peak, MiB",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a relist is measured."""

    bench: Bench
    name: str
    prometheus: PrometheusProcess
    cluster: Cluster


def relist_tables(bench: Bench) -> list[Table]:
    """Measure each way to relist at each number of series.

    Raises:
        WrongFigureError: one did not find exactly the metrics there are, or an answer was wrong.
    """
    rounds = 1 if bench.quick else 3
    rows: dict[str, Row] = {}
    base: dict[str, str] = {}
    cluster = Cluster(bench.home / "cluster-relist", pods=shop.pods())
    with cluster.running():
        for size in bench.sizes["series"]:
            begin, found = time.time(), {way: Row() for way in (_LABELS, _SERIES, _WHOLE)}
            filling = series(size // METRICS, now_seconds=begin)
            with filled_prometheus(bench, f"relist-{size}", filling) as prometheus:
                place = _Place(bench=bench, name=f"relist-{size}", prometheus=prometheus, cluster=cluster)
                for number in range(rounds):
                    bench.say(f"relist: {size:,} series, round {number + 1} of {rounds}")
                    _round(place, found)
            for way, row in found.items():
                rows[f"{size:,}, {way}"], base[f"{size:,}, {way}"] = row, f"{size:,}, {_WHOLE}"
    title = f"Relist of {METRICS} metric names, {len(RULES)} rules; {rounds} rounds; ratios to the series kept whole"
    ratios = ("start to listed, s", "later relist, s", "Prometheus CPU, s", "MB on the wire", "peak, MiB")
    return [
        Table(key="relist", title=title, head="series, asked by", columns=_COLUMNS, rows=rows, ratios=ratios, base=base)
    ]


def _round(place: _Place, found: Mapping[str, Row]) -> None:
    url, port = place.prometheus.url, int(place.prometheus.url.rpartition(":")[2])
    _adapter(place, url, _LABELS, found[_LABELS])
    add(found[_LABELS], "first right answer, s", _first_answer(place, url))
    with front(place.bench.home, port, "plain") as plain:
        add(found[_LABELS], "MB plain", _start_bytes(place, plain) / _MB)
    with front(place.bench.home, port, "no-labels") as without:
        _adapter(place, without, _SERIES, found[_SERIES])
        add(found[_SERIES], "first right answer, s", _first_answer(place, without))
    kept_whole(place.bench.home, place.prometheus, found[_WHOLE])


# ---- the adapter


@contextlib.contextmanager
def _running(place: _Place, url: str, *, rules: Sequence[str] = RULES, flags: Sequence[str] = ()) -> Iterator[Server]:
    text = "rules:\n" + "".join(rules)
    wanted = [*place.cluster.flags, *(flags or ("--metrics-relist-interval=1h",))]
    with running_adapter(place.bench, place.name, rules=text, prometheus_url=url, flags=wanted) as adapter:
        yield adapter


def _adapter(place: _Place, url: str, way: str, row: Row) -> None:
    """Start it, wait until all names are listed, and watch some more relists."""
    before = PrometheusCounts.of(place.prometheus)
    metrics = f"127.0.0.1:{free_port()}"
    interval = _QUICK_INTERVAL_SECONDS if place.bench.quick else _INTERVAL_SECONDS
    flags = (f"--metrics-relist-interval={interval}s", f"--metrics-bind-address={metrics}")
    with _running(place, url, flags=flags) as adapter:
        add(row, "start to listed, s", _wait_listed(place, adapter))
        after = PrometheusCounts.of(place.prometheus)
        if way == _SERIES:
            add(row, "MB on the wire", (after.wire_bytes - before.wire_bytes) / _MB)
        first = wait_until(
            "the first relist", lambda: _later(adapter, f"http://{metrics}/metrics", _NONE, 1), timeout_seconds=30
        )
        begin = PrometheusCounts.of(place.prometheus), first
        last = wait_until(
            "later relists",
            lambda: _later(adapter, f"http://{metrics}/metrics", first, _LATER),
            timeout_seconds=_TIMEOUT_SECONDS,
            interval_seconds=1.0 if place.bench.quick else _LOOK_SECONDS[way],
        )
        now, count = PrometheusCounts.of(place.prometheus), last.count - first.count
        add(row, "later relist, s", (last.seconds - first.seconds) / count)
        add(row, "its CPU, s", (last.cpu_seconds - first.cpu_seconds) / count)
        add(row, "Prometheus CPU, s", (now.cpu_seconds - begin[0].cpu_seconds) / count)
        add(row, "calls", (now.calls - begin[0].calls) / count)
        if way == _LABELS:
            add(row, "MB on the wire", (now.wire_bytes - begin[0].wire_bytes) / count / _MB)
        add(row, "memory, MiB", resident_mib(adapter.pid))
        add(row, "peak, MiB", peak_resident_mib(adapter.pid))


def _wait_listed(place: _Place, adapter: Server) -> float:
    return adapter.wait_for(_json(place, adapter), _DISCOVERY, _is_listed)


def _json(place: _Place, adapter: Server) -> Any:
    target = place.cluster.caller(adapter.url)
    return replace(target, headers={**target.headers, "Accept": "application/json"})


def _is_listed(body: bytes) -> None:
    found = sorted(one["name"] for one in json.loads(body)["resources"])
    if found != listed():
        raise WrongFigureError(f"listed are {len(found)} of {len(listed())}: {found[:5]}")


def _first_answer(place: _Place, url: str) -> float:
    """Return how long after its start a process gives its first right answer."""
    with _running(place, url, rules=(*RULES, *shop.RULE_TEXTS)) as adapter:
        return adapter.wait_for(place.cluster.caller(adapter.url), shop.list_path("warm"), shop.is_right)


def _start_bytes(place: _Place, url: str) -> float:
    """Return how many bytes Prometheus answers until all names are listed."""
    before = PrometheusCounts.of(place.prometheus)
    with _running(place, url) as adapter:
        _wait_listed(place, adapter)
        return PrometheusCounts.of(place.prometheus).wire_bytes - before.wire_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    count: float
    seconds: float
    cpu_seconds: float


def _look(adapter: Server, url: str) -> _Look:
    """Read how many relists there were, and how long they took, from the adapter's own metrics."""
    lines = dict(
        line.rsplit(" ", 1)
        for line in httpx.get(url, timeout=30, trust_env=False).text.splitlines()
        if line.startswith("tidegauge_relist_duration_seconds_")
    )
    name = "tidegauge_relist_duration_seconds"
    used = cpu_seconds(adapter.pid)
    return _Look(count=float(lines[f"{name}_count"]), seconds=float(lines[f"{name}_sum"]), cpu_seconds=used)


_NONE: Final = _Look(count=0, seconds=0, cpu_seconds=0)


def _later(adapter: Server, url: str, first: _Look, relists: int) -> _Look | None:
    """Look, and return that if there were so many relists since the first look."""
    now = _look(adapter, url)
    return now if now.count - first.count >= relists else None
