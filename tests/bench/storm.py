"""What do many HPAs cost? Each asks once a period for a metric of its own pods, as the HPA controller does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rig.prometheus import PrometheusProcess

from bench import world
from bench.connection import Target
from bench.scene import Bench, Cluster, filled_prometheus, running_adapter
from bench.storm_run import AFTER_SECONDS, COLUMNS, RATIOS, Pace, Stormed, Watched, run, wait_for_first
from bench.table import Table

# What the series of one HPA take at most to be written.
_FILL_SECONDS_PER_HPA = 0.01
_QUICK: Final = Pace(period_seconds=1.0, settling=1, periods=1, ttls=(0.5, 1.0))
_FULL: Final = Pace()


def storm_tables(bench: Bench) -> list[Table]:
    """Measure each number of HPAs, straight to Prometheus and through the adapter.

    Raises:
        WrongFigureError: the client failed; answers that are wrong or missing become faults of the bench.
    """
    pace = _QUICK if bench.quick else _FULL
    rows: dict[str, Mapping[str, Sequence[float]]] = {}
    base: dict[str, str] = {}
    notes = []
    for count in bench.sizes["hpas"]:
        first = f"{count:,}, a query for each turn"
        for name, stormed in _of_size(bench, count, pace, first):
            rows[name], base[name] = stormed.row, first
            notes.append(f"{name}: {stormed.words}")
            bench.faults.extend(filter(None, [stormed.fault]))
    title = (
        f"Storm: HPAs over {world.RULES} rules and {world.NAMESPACES} namespaces, 5 to 20 pods each, each figure per"
        f" period of {pace.period_seconds:g} s; {pace.periods} periods after {pace.settling} that are not measured"
    )
    return [
        Table(
            key="storm",
            title=title,
            head="HPAs",
            columns=COLUMNS,
            rows=rows,
            ratios=RATIOS,
            base=base,
            notes=notes,
        )
    ]


def _of_size(bench: Bench, count: int, pace: Pace, first: str) -> Iterator[tuple[str, Stormed]]:
    seconds = (pace.seconds + AFTER_SECONDS) * (len(pace.ttls) + 1) + count * _FILL_SECONDS_PER_HPA
    series = world.series(count, now_seconds=time.time(), seconds=seconds)
    with filled_prometheus(bench, f"storm-{count}", series) as prometheus:
        bench.say(f"storm: {first}")
        plain = Target(url=prometheus.url, headers={})
        yield first, run(plain, Watched(prometheus=prometheus), hpas=count, pace=pace, bare=True)
        for ttl in pace.ttls:
            name = f"{count:,}, answers kept {ttl:g} s"
            bench.say(f"storm: {name}")
            with _scene(bench, prometheus, count=count, ttl=ttl) as watched_by:
                target, watched = watched_by
                yield name, run(target, watched, hpas=count, pace=pace, oldest_seconds=ttl)


@contextlib.contextmanager
def _scene(bench: Bench, prometheus: PrometheusProcess, *, count: int, ttl: float) -> Iterator[tuple[Target, Watched]]:
    cluster = Cluster(bench.home / f"cluster-{count}-{ttl:g}", hpas=count)
    flags = [*cluster.flags, f"--cache-ttl={ttl:g}s", "--metrics-relist-interval=10m"]
    with (
        cluster.running(),
        running_adapter(
            bench, f"storm-{count}-{ttl:g}", rules=world.rules(), prometheus_url=prometheus.url, flags=flags
        ) as adapter,
    ):
        target = cluster.caller(adapter.url)
        wait_for_first(adapter, target)
        yield target, Watched(prometheus=prometheus, adapter=adapter, cluster=cluster)
