"""The one place where objects are built, handed in, and closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from adapter.clients.prometheus import PrometheusClient, open_client
from adapter.config.load import Loaded, load_rules
from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.config.settings import Settings
from adapter.kube.resources import Kinds, kubernetes_kinds
from adapter.rules.compile import Compiled, Terms, compile_rules
from adapter.rules.rule import Compat
from adapter.runtime.backend_choice import Choice, choose_backend
from adapter.runtime.backends import Backend
from adapter.runtime.cache import QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.health import Health
from adapter.runtime.held import HeldValues
from adapter.runtime.object_file import FileObjects
from adapter.runtime.objects import NoObjects, Objects
from adapter.runtime.provider import Provider
from adapter.runtime.relist import Relist, RelistSettings
from adapter.runtime.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The files as they were read, the backend in force, and the rules that came of them."""

    loaded: Loaded
    compiled: Compiled
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that lives as long as the adapter."""

    provider: Provider
    relist: Relist
    backend: Backend
    objects: Objects
    health: Health
    telemetry: Telemetry
    rules: Rules
    clocks: Clocks


def read_rules(settings: Settings, *, kinds: Kinds, environment: dict[str, str]) -> Rules:
    """Return the rules that the settings name, with every problem of the files; raises nothing for their content."""
    read = load_rules(settings.config, environment)
    # A file with an error cannot serve, and what can be read of it may have further problems: all are told at once.
    loaded = replace(read, files=(*read.files, *read.partial), partial=())
    choice = choose_backend(settings, loaded)
    terms = Terms(
        kinds=kinds, compat=Compat(settings.compat), cache_ttl_seconds=settings.cache_ttl_seconds, backend=choice.name
    )
    compiled = compile_rules(loaded, terms)
    everything = Compiled(rulebook=compiled.rulebook, problems=(*compiled.problems, *choice.problems))
    return Rules(loaded=loaded, compiled=everything, choice=choice)


def read_objects(settings: Settings, *, kinds: Kinds, clocks: Clocks, telemetry: Telemetry | None) -> Objects:
    """Return the source of objects that the settings name.

    Raises:
        ConfigError: the objects file cannot be read.
    """
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
    objects = read_objects(settings, kinds=kubernetes_kinds(), clocks=clocks, telemetry=telemetry)
    rules = read_rules(settings, kinds=objects.kinds, environment=environment)
    if rules.compiled.has_errors:
        raise ConfigError(rules.compiled.problems)
    severities = Counter(str(problem.severity) for problem in rules.compiled.problems)
    telemetry.rules_loaded(rules=len(rules.compiled.rulebook.rules), problems=severities)
    client = open_client_with(rules.choice.options, observer=telemetry, clock=clocks.monotonic)
    backend = Backend(
        name=rules.choice.name,
        client=client,
        observer=telemetry,
        clocks=clocks,
        partial_response_allowed=rules.choice.partial_response_allowed,
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
    cache = QueryCache(
        max_bytes=settings.max_cache_bytes,
        max_entries=settings.max_cache_entries,
        clock=clocks.monotonic,
        observer=telemetry,
    )
    provider = Provider(
        relist=relist,
        objects=objects,
        backend=backend,
        cache=cache,
        held_objects=HeldValues(clock=clocks.monotonic),
        held_items=HeldValues(clock=clocks.monotonic),
        clocks=clocks,
        observer=telemetry,
        compat=Compat(settings.compat),
        query_timeout_seconds=rules.choice.options.timeout_seconds,
    )
    health = Health(relist=relist, objects=objects, backend=backend.name, clocks=clocks, started_at=clocks.monotonic())
    loops = [asyncio.create_task(relist.run(), name="relist")] if relisting else []
    try:
        yield Runtime(
            provider=provider,
            relist=relist,
            backend=backend,
            objects=objects,
            health=health,
            telemetry=telemetry,
            rules=rules,
            clocks=clocks,
        )
    finally:
        await _stop(loops)
        await relist.close()
        await objects.close()
        await cache.close()
        await backend.close()
        await client.close()


async def _stop(loops: Sequence[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    for loop in loops:
        with contextlib.suppress(asyncio.CancelledError):
            await loop
