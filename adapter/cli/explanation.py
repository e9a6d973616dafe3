"""All that there is to say about one answer, as data: what `explain` prints, in either format."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from adapter.cli.asking import Asked
from adapter.cli.output import labels_text, number_text
from adapter.errors import AdapterError
from adapter.kube.documents import ExternalItem, MetricItem, timestamp_text
from adapter.kube.quantity import milli_text
from adapter.promql.model import OtherResult, Sample, Scalar
from adapter.rules.requests import ByName, CustomMetricRequest, ExternalMetricRequest, MetricRequest
from adapter.rules.trail import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something without a value: which object (empty: the whole answer), at which step it was lost, and why."""

    object: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An answer with everything behind it."""

    asked: Asked
    hints: tuple[str, ...]
    prometheus_url: str

    @property
    def promql(self) -> str:
        """Return the query that was sent, empty if none was."""
        return str(self.asked.fact("promql") or "")

    @property
    def link(self) -> str:
        """Return the address at which Prometheus shows the query to a person; credentials are left out."""
        return prometheus_link(self.prometheus_url, self.promql) if self.promql else ""

    @property
    def label(self) -> str:
        """Return the label that names the objects."""
        return self.asked.label

    @property
    def causes(self) -> tuple[str, ...]:
        """Return what the caller is not told: the error behind the answer, and what that came from."""
        error = self.asked.error
        return tuple(cause for cause in (_causes(error) if error else ()) if cause not in self.asked.message)

    @property
    def kubectl(self) -> str:
        """Return the command that asks the same of a cluster."""
        return f"kubectl get --raw {shlex.quote(self.asked.path)}"

    def receiver(self, sample: Sample) -> str | None:
        """Return the object that a sample's label names, if it was asked for."""
        name = sample.labels.get(self.label) if self.label else None
        return name if name is not None and name in (self.asked.fact("names") or ()) else None


def prometheus_link(url: str, promql: str) -> str:
    """Return where Prometheus' own page shows a query as a table; /graph leads there in 2.x and 3.x alike."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = urlencode({"g0.expr": promql, "g0.tab": "1"})
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/graph", query, ""))


def missing(explanation: Explanation) -> tuple[Missing, ...]:
    """Return what has no value: the objects that were asked for, or the whole answer when it failed before them."""
    asked = explanation.asked
    names = asked.missing_names
    if asked.failed and (not names or asked.step("answer") is None or asked.failed_step != "value"):
        return (Missing(object="", step=asked.failed_step, reason=_failure(asked)),)
    if names:
        return tuple(Missing(object=name, step="value", reason=_reason(explanation, name)) for name in names)
    if asked.answer is not None and not asked.answer.items:
        return (Missing(object="", step="value", reason=_why_nothing(asked)),)
    return ()


def _failure(asked: Asked) -> str:
    last = asked.steps[-1] if asked.steps else None
    return last.text if last is not None and not last.ok else str(asked.error or asked.message)


def _reason(explanation: Explanation, name: str) -> str:
    """Say why an object that was asked for has no value."""
    said = [step.text for step in explanation.asked.steps if step.name == "policy" and step.facts.get("object") == name]
    if said:
        return said[-1].removeprefix(f"{name}: ")
    samples = explanation.asked.samples
    if not samples:
        return "the query returned no samples"
    if not any(explanation.label in sample.labels for sample in samples):
        return f"no sample has the label {explanation.label}"
    return f'no sample has {explanation.label}="{name}"'


def _why_nothing(asked: Asked) -> str:
    result = asked.fact("result")
    if isinstance(result, OtherResult):
        return f"the query returned a {result.kind}"
    return "none of the samples is usable" if asked.samples else "the query returned no samples"


def _causes(error: AdapterError) -> Iterator[str]:
    """Yield the texts of our errors, outermost first; what a library said is in them."""
    cause: BaseException | None = error
    while isinstance(cause, AdapterError):
        yield str(cause)
        cause = cause.__cause__


# ---- as JSON


def document(explanation: Explanation) -> dict[str, Any]:
    """Return everything for `--format json`; the keys are always there, those without a fact are null or empty."""
    asked = explanation.asked
    return {
        "request": _request(asked.path, asked.request),
        "status": asked.status,
        "rule": asked.fact("rule"),
        "place": asked.fact("place"),
        "series": asked.fact("series"),
        "label": explanation.label or None,
        "promql": explanation.promql or None,
        "link": explanation.link or None,
        "samples": [_sample(explanation, sample) for sample in asked.samples],
        "items": [_item(item) for item in (asked.answer.items if asked.answer else ())],
        "missing": [{"object": one.object, "step": one.step, "reason": one.reason} for one in missing(explanation)],
        "steps": [_step(step) for step in asked.steps],
        "error": _error(explanation),
        "hints": list(explanation.hints),
        "kubectl": explanation.kubectl,
    }


def _request(path: str, request: MetricRequest | None) -> Mapping[str, Any]:
    match request:
        case CustomMetricRequest(namespace=namespace, resource=resource, target=target, metric=metric):
            by_name = isinstance(target, ByName)
            return {
                "path": path,
                "api": "custom.metrics.k8s.io",
                "namespace": namespace,
                "resource": str(resource),
                "name": target.name if isinstance(target, ByName) else "*",
                "metric": metric,
                "selector": None if by_name else str(getattr(target, "selector", "")),
                "metricSelector": str(request.metric_selector),
            }
        case ExternalMetricRequest(namespace=namespace, metric=metric, selector=selector):
            return {
                "path": path,
                "api": "external.metrics.k8s.io",
                "namespace": namespace,
                "metric": metric,
                "selector": str(selector),
            }
        case None:
            return {"path": path}


def _sample(explanation: Explanation, sample: Sample) -> Mapping[str, Any]:
    return {
        "labels": dict(sorted(sample.labels.items())),
        "value": "histogram" if sample.histogram else number_text(sample.value),
        "timestamp": timestamp_text(sample.timestamp_seconds),
        "object": explanation.receiver(sample),
    }


def _item(item: MetricItem | ExternalItem) -> Mapping[str, Any]:
    who: Mapping[str, Any]
    if isinstance(item, MetricItem):
        who = {"kind": item.kind.kind, "namespace": item.namespace, "object": item.name}
    else:
        who = {"labels": None if item.labels is None else dict(sorted(item.labels.items()))}
    return {
        **who,
        "value": item.milli / 1000,
        "quantity": milli_text(item.milli),
        "timestamp": timestamp_text(item.timestamp_seconds),
        "windowSeconds": item.window_seconds,
    }


def _step(step: Step) -> Mapping[str, Any]:
    facts = {name: _plain(value) for name, value in step.facts.items() if name != "result"}
    return {"name": step.name, "ok": step.ok, "text": step.text, "facts": facts}


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    return str(value)


def _error(explanation: Explanation) -> Mapping[str, Any] | None:
    asked = explanation.asked
    if not asked.failed:
        return None
    return {
        "code": asked.status,
        "reason": asked.document.get("reason", ""),
        "message": asked.message,
        "causes": list(explanation.causes),
    }


def sample_rows(explanation: Explanation) -> list[tuple[str, str, str]]:
    """Return for each sample its labels, its value, and who got it."""
    result = explanation.asked.fact("result")
    if isinstance(result, Scalar):
        return [("(a scalar)", number_text(result.value), "")]
    names = explanation.asked.fact("names") is not None
    return [
        (
            labels_text(sample.labels.items()),
            "histogram" if sample.histogram else number_text(sample.value),
            (explanation.receiver(sample) or "nobody who was asked for") if names else "",
        )
        for sample in explanation.asked.samples
    ]
