"""A rule in force: compiled once, immutable, with every default already in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from adapter.config.problems import Location
from adapter.kube.resources import GroupResource
from adapter.promql.template import Template
from adapter.rules.association import Association
from adapter.rules.naming import Naming
from adapter.rules.resource_rule import ResourceRules


class Compat(StrEnum):
    """Whether prometheus-adapter's oddities that a working setup may rely on are kept."""

    FIXED = "fixed"
    STRICT = "strict"


class Api(StrEnum):
    """Which API a rule feeds."""

    CUSTOM = "custom"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyPolicy:
    """What an object without a value gets: nothing, an error, a fixed value, or its last good one for a while."""

    action: str = "omit"  # omit | error | value | hold
    value: float = 0.0
    hold_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What happens to a number before it becomes a quantity: scaled, then clamped, then rounded."""

    scale: float = 1.0
    low: float | None = None
    high: float | None = None
    round: str = "none"  # none | nearest | up | down: to a whole number
    cut: bool = False  # cut to thousandths, as prometheus-adapter does, instead of rounding to the nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """How a rule's samples become values."""

    cache_ttl_seconds: float
    stale_if_error_seconds: float = 0.0  # after the TTL, while refreshes fail
    max_sample_age_seconds: float | None = None  # None: any age
    on_empty: EmptyPolicy = field(default_factory=EmptyPolicy)
    on_nan: str = "drop"  # zero | drop | error
    on_duplicates: str = "last"  # last | error | sum | max | min | avg | first
    shape: Shape = field(default_factory=Shape)
    selector_labels: Mapping[str, str] = field(default_factory=dict)
    allow_namespaces: tuple[str, ...] = ()
    may_share: bool = True  # fuse: auto; never is False

    def allows(self, namespace: str) -> bool:
        """Say whether a caller in this namespace may read the metric."""
        return not self.allow_namespaces or any(fnmatchcase(namespace, one) for one in self.allow_namespaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMetric:
    """A metric written from the answer's end: its name, its object and their labels are given, nothing is derived."""

    metric: str
    resource: GroupResource | None  # None: external
    label: str = ""
    namespace_label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule in force."""

    id: str
    api: Api
    location: Location
    series_queries: tuple[str, ...]  # one for `rules`, one per selector for `metrics`
    naming: Naming
    association: Association
    query: Template | None
    query_text: str
    namespaced: bool  # external metrics: whether the caller's namespace is matched
    policies: Policies
    compat: Compat
    fixed: FixedMetric | None = None
    description: str = ""
    owner: str = ""

    @property
    def may_share(self) -> bool:
        """Say whether requests may share a query (`fuse`)."""
        return self.policies.may_share

    @property
    def place(self) -> str:
        """Say where the rule is written, as `file:line`."""
        return f"{self.location.file}:{self.location.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """All rules in force, in their order, and which APIs they install."""

    rules: tuple[Rule, ...] = ()
    custom: bool = False
    external: bool = False
    resource_rules: ResourceRules | None = None

    @property
    def resource(self) -> bool:
        """Say whether metrics.k8s.io is installed."""
        return self.resource_rules is not None

    def of(self, api: Api) -> tuple[Rule, ...]:
        """Return the rules of one API, in order."""
        return tuple(rule for rule in self.rules if rule.api is api)
