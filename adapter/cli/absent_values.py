"""Why an object has no value although the metric is served: what the samples and the bare series say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapter.cli.asking import Asked
from adapter.cli.wording import either, listed
from adapter.errors import UpstreamError
from adapter.promql.matchers import LabelMatcher, MatchOp, escape_regex, is_legacy_label_name, selector_text
from adapter.promql.model import Sample, Vector
from adapter.rules.requests import CustomMetricRequest
from adapter.runtime.wiring import Runtime

_QUERY_SECONDS = 5.0


async def value_hints(asked: Asked, request: CustomMetricRequest, runtime: Runtime) -> Sequence[str]:
    """Return what may help about objects without a value."""
    if not asked.missing_names or not asked.label or asked.step("answer") is None:
        return ()
    if asked.samples and not any(asked.label in sample.labels for sample in asked.samples):
        return (_label_lost(asked),)
    bare = _bare_series(asked, request, runtime)
    return await bare.hints(runtime) if bare else ()


def _label_lost(asked: Asked) -> str:
    labels = sorted({name for sample in asked.samples for name in sample.labels})
    return (
        f"no sample has the label {asked.label}, which names the objects; they have {listed(labels) or 'no labels'}."
        " End the query with `by (<<.GroupBy>>)`"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _BareSeries:
    """The series behind a query, for objects about which the query's answer says nothing."""

    series: str
    label: str
    names: tuple[str, ...]
    namespace: str
    namespace_label: str  # empty if the rule maps none, or if the objects live in none

    async def hints(self, runtime: Runtime) -> Sequence[str]:
        """Ask for the series in all namespaces, and say for which objects there are some."""
        clocks = runtime.clocks
        try:
            answer = await runtime.backend.query(
                self.promql, at_seconds=clocks.wall(), deadline_seconds=clocks.monotonic() + _QUERY_SECONDS
            )
        except UpstreamError:
            return ()
        return self._texts(answer.result.samples if isinstance(answer.result, Vector) else ())

    @property
    def promql(self) -> str:
        """Return the query for the objects that have series, and where."""
        labels = dict.fromkeys(filter(None, (self.label, self.namespace_label)))
        wanted = LabelMatcher(name=self.label, op=MatchOp.MATCHES, value="|".join(map(escape_regex, self.names)))
        return f"group by ({', '.join(labels)}) ({selector_text(self.series, (wanted,))})"

    def _texts(self, samples: Sequence[Sample]) -> Sequence[str]:
        """Return what there is to say, together for the objects that share it."""
        told: dict[str, list[str]] = {}
        for name in self.names:
            told.setdefault(
                self._text([one.labels for one in samples if one.labels.get(self.label) == name]), []
            ).append(name)
        return [f"{self.series} with {self.label} {either(names)} {text}" for text, names in told.items()]

    def _text(self, found: Sequence[Mapping[str, str]]) -> str:
        namespaces = sorted({labels.get(self.namespace_label, "") for labels in found})
        if not found:
            return "does not exist in Prometheus now"
        if self.namespace_label and self.namespace not in namespaces:
            return f"exists in the namespace {either(namespaces)} only"
        return "exists, and the query leaves it out: a rate, for one, needs two samples in its window"


def _bare_series(asked: Asked, request: CustomMetricRequest, runtime: Runtime) -> _BareSeries | None:
    """Return what to ask for, None if the answer says enough or nothing can be asked."""
    kinds = runtime.provider.kinds
    kind = kinds.resolve(request.resource)
    entry = runtime.provider.catalog.custom_entry(kind, request.metric) if kind else None
    answered = {sample.labels.get(asked.label) for sample in asked.samples}
    names = tuple(name for name in asked.missing_names if name not in answered)
    if not names or entry is None or not entry.series or not is_legacy_label_name(asked.label):
        return None
    namespace_label = entry.rule.association.namespace_label(kinds) or "" if request.namespace else ""
    return _BareSeries(
        series=entry.series,
        label=asked.label,
        names=names,
        namespace=request.namespace,
        namespace_label=namespace_label if is_legacy_label_name(namespace_label) else "",
    )
