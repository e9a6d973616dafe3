"""The one place where objects are built, handed in, and closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from adapter.clients.kubernetes import ClusterClient
from adapter.clients.prometheus import PrometheusClient, open_client
from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.config.settings import Settings
from adapter.kube.resources import Kinds, kubernetes_kinds
from adapter.rules.rule import Compat
from adapter.runtime.ahead import begin_watches
from adapter.runtime.backends import Backend
from adapter.runtime.breaker import BreakerSettings
from adapter.runtime.cache import QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.cluster_objects import ClusterObjects
from adapter.runtime.clusters import Clusters, open_clusters
from adapter.runtime.demand import Demand
from adapter.runtime.fetching import Fetching
from adapter.runtime.health import Health
from adapter.runtime.held import HeldValues
from adapter.runtime.limits import Limits
from adapter.runtime.object_file import FileObjects
from adapter.runtime.objects import NoObjects, Objects
from adapter.runtime.provider import Provider
from adapter.runtime.relist import Relist, RelistSettings
from adapter.runtime.reload import Reload
from adapter.runtime.resource_provider import ResourceProvider
from adapter.runtime.rule_files import RuleFiles, Rules, read_rules
from adapter.runtime.telemetry import Telemetry
from adapter.runtime.watch.ports import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that lives as long as the adapter."""

    provider: Provider
    resources: ResourceProvider
    relist: Relist
    backend: Backend
    objects: Objects
    clusters: Clusters
    health: Health
    telemetry: Telemetry
    rules: Rules  # as they were at the start
    reload: Reload
    clocks: Clocks


def read_objects(
    settings: Settings,
    *,
    kinds: Kinds,
    clocks: Clocks,
    telemetry: Telemetry | None,
    cluster: ClusterClient | None = None,
) -> Objects:
    """Return the source of objects that the settings name: a cluster, else a file, else nothing.

    Raises:
        ConfigError: the objects file cannot be read.
    """
    if cluster is not None:
        timing = Timing(clock=clocks.monotonic)
        return ClusterObjects(cluster=cluster, observer=telemetry or Telemetry(), timing=timing, base=kinds)
    if not settings.objects_file:
        return NoObjects(kinds)
    objects = FileObjects(settings.objects_file, kinds=kinds, clock=clocks.monotonic, observer=telemetry)
    try:
        objects.load()
    except (OSError, ValueError) as error:
        problem = Problem(
            code="file/objects",
            severity=Severity.ERROR,
            message=f"the objects file cannot be read: {' '.join(str(error).split())}",
            location=Location(file=settings.objects_file),
            hint="--objects-file takes ordinary Kubernetes manifests, several YAML documents",
        )
        raise ConfigError((problem,)) from error
    return objects


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    environment: dict[str, str],
    clocks: Clocks | None = None,
    relisting: bool = True,
    open_client_with: Callable[..., PrometheusClient] = open_client,
) -> AsyncIterator[Runtime]:
    """Build everything, start the loops, and close it all in the end.

    With `relisting` off nothing is asked until somebody calls `relist.relist()`. `open_client_with` has the shape of
    `open_client`: who wants another transport than the network hands in one that adds it.

    Raises:
        ConfigError: the rules or the objects have an error; it holds all the problems.
    """
    clocks = clocks or Clocks()
    telemetry = Telemetry()
    clusters = open_clusters(settings, environment=environment, observer=telemetry, clock=clocks.monotonic)
    objects = read_objects(
        settings, kinds=kubernetes_kinds(), clocks=clocks, telemetry=telemetry, cluster=clusters.lister
    )
    files = RuleFiles(paths=settings.config)
    rules = read_rules(settings, kinds=objects.kinds, environment=environment)
    if rules.compiled.has_errors:
        raise ConfigError(rules.compiled.problems)
    severities = Counter(str(problem.severity) for problem in rules.compiled.problems)
    telemetry.rules_loaded(rules=len(rules.compiled.rulebook.rules), problems=severities)
    telemetry.config_in_force(at_seconds=clocks.wall())
    client = open_client_with(rules.choice.options, observer=telemetry, clock=clocks.monotonic)
    backend = Backend(
        name=rules.choice.name,
        client=client,
        observer=telemetry,
        clocks=clocks,
        partial_response_allowed=rules.choice.partial_response_allowed,
        breaker=BreakerSettings.of(rules.choice.options.timeout_seconds),
    )
    relist = Relist(
        rulebook=rules.compiled.rulebook,
        backend=backend,
        kinds=objects.synced_kinds,
        settings=RelistSettings(
            interval_seconds=settings.metrics_relist_interval_seconds,
            max_age_seconds=settings.metrics_max_age_seconds,
            concurrency=settings.relist_concurrency,
        ),
        clocks=clocks,
        observer=telemetry,
    )
    if relisting and isinstance(objects, ClusterObjects):
        relist.swapped = partial(begin_watches, objects)
    cache = QueryCache(
        max_bytes=settings.max_cache_bytes,
        max_entries=settings.max_cache_entries,
        clock=clocks.monotonic,
        observer=telemetry,
    )
    fetching = Fetching(
        backend=backend,
        cache=cache,
        clocks=clocks,
        observer=telemetry,
        timeout_seconds=rules.choice.options.timeout_seconds,
        queries_of_a_rule=max(1, rules.choice.options.max_connections // 2),
        evaluation_grid_seconds=settings.evaluation_grid_seconds,
        limits=Limits(
            backend=rules.choice.name,
            clock=clocks.monotonic,
            observer=telemetry,
            max_bytes=settings.max_query_bytes,
        ),
    )
    demand = Demand(clock=clocks.monotonic)
    provider = Provider(
        relist=relist,
        objects=objects,
        held_objects=HeldValues(clock=clocks.monotonic),
        held_items=HeldValues(clock=clocks.monotonic),
        clocks=clocks,
        observer=telemetry,
        compat=Compat(settings.compat),
        fetching=fetching,
        answered=demand.note,
    )
    resources = ResourceProvider(
        rules=lambda: relist.rulebook.resource_rules,
        objects=objects,
        clocks=clocks,
        observer=telemetry,
        fetching=fetching,
    )
    reload = Reload(
        rules=rules,
        files=files,
        read=lambda: read_rules(settings, kinds=objects.kinds, environment=environment),
        relist=relist,
        demand=demand,
        clocks=clocks,
        observer=telemetry,
        protect=settings.reload_protect,
    )
    health = Health(
        relist=relist,
        objects=objects,
        rules=reload,
        backend=backend.name,
        clocks=clocks,
        started_at=clocks.monotonic(),
    )
    loops = [asyncio.create_task(loop, name=name) for name, loop in _loops(relist, reload)] if relisting else []
    if isinstance(objects, ClusterObjects):
        loops.append(asyncio.create_task(objects.run(), name="kinds"))
    try:
        yield Runtime(
            provider=provider,
            resources=resources,
            relist=relist,
            backend=backend,
            objects=objects,
            clusters=clusters,
            health=health,
            telemetry=telemetry,
            rules=rules,
            reload=reload,
            clocks=clocks,
        )
    finally:
        await _stop(loops)
        await relist.close()
        await objects.close()
        await cache.close()
        await backend.close()
        await client.close()
        await clusters.close()


def _loops(relist: Relist, reload: Reload) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
    yield "relist", relist.run()
    yield "reload", reload.run()


async def _stop(loops: Sequence[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    for loop in loops:
        with contextlib.suppress(asyncio.CancelledError):
            await loop
