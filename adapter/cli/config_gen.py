"""prometheus-adapter's default rules, as its config-gen prints them: a place to start from, not to end at."""

from __future__ import annotations

import re

from adapter.cli.output import Streams
from adapter.cli.usage import UsageError
from adapter.config.words import duration_seconds

_LABEL_PREFIX = re.compile(r"(?:[a-zA-Z_][a-zA-Z0-9_]*)?")

_HEAD = """\
# prometheus-adapter's default rules: each counter and gauge of containers, then every other one that has a namespace.
# They match nearly everything a Prometheus has, so they cost the most and promise the least: keep the rules whose
# metrics an autoscaler reads, and name their series.
rules:
"""

_CONTAINER_RULE = """\
- seriesQuery: '{{__name__=~"^container_.*",container!="POD",namespace!="",pod!=""}}'
  seriesFilters: {filters}
  resources:
    overrides:
      namespace: {{resource: namespace}}
      pod: {{resource: pod}}
  name: {{matches: '{matches}', as: ""}}
  metricsQuery: {query}
"""

_OTHER_RULE = """\
- seriesQuery: '{{{prefix}namespace!="",__name__!~"^container_.*"}}'
  seriesFilters: {filters}
  resources: {{template: "{prefix}<<.Resource>>"}}
  name: {{matches: '{matches}', as: ""}}
  metricsQuery: {query}
"""

_RESOURCE_RULES = """\
resourceRules:
  cpu:
    containerQuery: sum(rate(container_cpu_usage_seconds_total{{<<.LabelMatchers>>}}[{window}])) by (<<.GroupBy>>)
    nodeQuery: sum(rate(container_cpu_usage_seconds_total{{<<.LabelMatchers>>,id="/"}}[{window}])) by (<<.GroupBy>>)
    resources:
      overrides:
        namespace: {{resource: namespace}}
        node: {{resource: node}}
        pod: {{resource: pod}}
    containerLabel: {prefix}container
  memory:
    containerQuery: sum(container_memory_working_set_bytes{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)
    nodeQuery: sum(container_memory_working_set_bytes{{<<.LabelMatchers>>,id="/"}}) by (<<.GroupBy>>)
    resources:
      overrides:
        namespace: {{resource: namespace}}
        node: {{resource: node}}
        pod: {{resource: pod}}
    containerLabel: {prefix}container
  window: {window}
"""

_CONTAINER_SUM = 'sum(<<.Series>>{<<.LabelMatchers>>,container!="POD"}) by (<<.GroupBy>>)'
_CONTAINER_RATE = 'sum(rate(<<.Series>>{{<<.LabelMatchers>>,container!="POD"}}[{window}])) by (<<.GroupBy>>)'
_SUM = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
_RATE = "sum(rate(<<.Series>>{{<<.LabelMatchers>>}}[{window}])) by (<<.GroupBy>>)"

# Shape, the series filter, what of the name stays, and the query.
_RULES = (
    (_CONTAINER_RULE, "", "^container_(.*)_seconds_total$", _CONTAINER_RATE),
    (_CONTAINER_RULE, "^container_.*_seconds_total$", "^container_(.*)_total$", _CONTAINER_RATE),
    (_CONTAINER_RULE, "^container_.*_total$", "^container_(.*)$", _CONTAINER_SUM),
    (_OTHER_RULE, ".*_total$", "", _SUM),
    (_OTHER_RULE, ".*_seconds_total", "^(.*)_total$", _RATE),
    (_OTHER_RULE, "", "^(.*)_seconds_total$", _RATE),
)


def config_gen(*, rate_interval: str, label_prefix: str, streams: Streams) -> int:
    """Print the rules, with this window of all rates and this prefix of the labels that name objects."""
    streams.out.write(default_rules(rate_interval=rate_interval, label_prefix=label_prefix))
    return 0


def default_rules(*, rate_interval: str, label_prefix: str) -> str:
    """Return the text of the rules file.

    Raises:
        UsageError: one of the two cannot be what it should be.
    """
    _check(rate_interval, label_prefix)
    rules = [
        shape.format(
            prefix=label_prefix,
            filters=f"[{{isNot: '{without}'}}]" if without else "[]",
            matches=matches,
            query=query.format(window=rate_interval) if query in (_CONTAINER_RATE, _RATE) else query,
        )
        for shape, without, matches, query in _RULES
    ]
    resource_rules = _RESOURCE_RULES.format(window=rate_interval, prefix=label_prefix)
    return "".join([_HEAD, *rules, resource_rules])


def _check(rate_interval: str, label_prefix: str) -> None:
    try:
        seconds = duration_seconds(rate_interval)
    except ValueError as error:
        raise UsageError(f"--rate-interval: {error}; for example 2m or 90s") from error
    if not seconds or rate_interval == "0":
        raise UsageError("--rate-interval must be more than 0")
    if not _LABEL_PREFIX.fullmatch(label_prefix):
        raise UsageError(f'--label-prefix: no label name of Prometheus begins with "{label_prefix}"')
