"""Rules for commands that need no server: read from files, and completed by a Prometheus if one is named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from adapter.cli.flags import read_settings
from adapter.cli.list_metrics import failing_queries
from adapter.cli.output import Streams
from adapter.cli.session import Session, discover
from adapter.config.problems import ConfigError, Severity
from adapter.config.settings import Settings
from adapter.kube.resources import Kinds, kubernetes_kinds
from adapter.rules.catalog import Catalog, Entry, claims_of
from adapter.rules.rule import Rulebook
from adapter.runtime.clock import Clocks
from adapter.runtime.rule_files import read_rules
from adapter.runtime.series_states import facts_of
from adapter.runtime.wiring import open_runtime, read_objects

_CONFIG: Final = "--config="


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """The rules and the kinds; `catalog` and `entries` are None if no Prometheus was asked.

    `entries` has every claim to a metric, those that lose included. `failing` has the series queries that could not be
    asked, and why.
    """

    rulebook: Rulebook
    kinds: Kinds
    catalog: Catalog | None = None
    entries: tuple[Entry, ...] | None = None
    failing: dict[str, str] = field(default_factory=dict)


async def look_at_rules(flags: Sequence[str], streams: Streams) -> LookedAt:
    """Return the rules that the flags name, and what Prometheus has for them if they name one.

    Without any rules file there are no rules.

    Raises:
        ConfigError: the flags, the rules or the objects have an error.
    """
    has_rules = any(flag.startswith(_CONFIG) for flag in flags)
    # Serving cannot do without rules, so its flags cannot either.
    settings = read_settings(flags if has_rules else [*flags, f"{_CONFIG}none"], streams)
    if settings.prometheus_url_given and has_rules:
        return await _asked(settings, streams)
    objects = read_objects(settings, kinds=kubernetes_kinds(), clocks=Clocks(), telemetry=None)
    if not has_rules:
        return LookedAt(rulebook=Rulebook(), kinds=objects.kinds)
    compiled = read_rules(settings, kinds=objects.kinds, environment=dict(os.environ)).compiled
    if compiled.has_errors:
        raise ConfigError(tuple(one for one in compiled.problems if one.severity is Severity.ERROR))
    return LookedAt(rulebook=compiled.rulebook, kinds=objects.kinds)


async def _asked(settings: Settings, streams: Streams) -> LookedAt:
    async with open_runtime(settings, environment=dict(os.environ), relisting=False) as runtime:
        await discover(Session(runtime=runtime, settings=settings), streams)
        rulebook, kinds = runtime.relist.rulebook, runtime.provider.kinds
        claims = claims_of(rulebook, facts_of(runtime.relist.states), kinds)
        return LookedAt(
            rulebook=rulebook,
            kinds=kinds,
            catalog=runtime.provider.catalog,
            entries=tuple(entry for several in claims.values() for entry in several),
            failing=dict(failing_queries(runtime)),
        )
