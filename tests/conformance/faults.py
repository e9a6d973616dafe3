"""What an answer, and the queries behind it, have otherwise than a step of a case says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapter.kube.documents import timestamp_text
from adapter.server.calls import Answer
from conformance.corpus import Labelled, Step

_REASONS = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    422: "Invalid",
    500: "InternalError",
}


def query_faults(step: Step, asked: Sequence[str]) -> Iterator[str]:
    """Yield what Prometheus was asked otherwise than a step says."""
    wanted = [] if step.promql is None or step.cached else [step.promql]
    if list(asked) != wanted:
        yield f"asked {list(asked)}, not {wanted}"


def answer_faults(step: Step, answer: Answer) -> Iterator[str]:
    """Yield what an answer has otherwise than its step says."""
    if answer.status != step.status:
        yield f"status {answer.status}, not {step.status}: {answer.body.decode()}"
        return
    text = answer.body.decode().removesuffix("\n")
    if step.body is not None:
        if text != step.body:
            yield f"body {text}"
        return
    document = json.loads(text)
    if step.status != 200:
        yield from _status_faults(step, document)
    elif step.listed is not None:
        found = [one["name"] for one in document["resources"]]
        if found != list(step.listed):
            yield f"listed {found}"
    elif step.items is not None:
        yield from _custom_faults(step, document, step.items)
    elif step.external_items is not None:
        yield from _external_faults(step, document, step.external_items)


def _status_faults(step: Step, document: Mapping[str, Any]) -> Iterator[str]:
    if "paths" in document:  # where there is no API, API servers show which paths there are
        if step.error:
            yield "the index of paths, and no Status"
        return
    found = (document["kind"], document["apiVersion"], document["status"], document["code"], document.get("reason"))
    wanted = ("Status", "v1", "Failure", step.status, _REASONS[step.status])
    if found != wanted:
        yield f"{found}, not {wanted}"
    if step.error not in document["message"]:
        yield f"message {document['message']!r}, without {step.error!r}"


def _custom_faults(step: Step, document: Mapping[str, Any], wanted: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from _list_faults(document, ("MetricValueList", "/".join(step.segments[:2])))
    items = document["items"]
    found = [(item["describedObject"]["name"], item["value"]) for item in items]
    if found != list(wanted):
        yield f"items {found}, not {list(wanted)}"
    is_first = step.segments[1] == "v1beta1"
    namespace, metric = _place(step.segments)
    for item in items:
        described = item["describedObject"]
        metric_of = item["metricName"] if is_first else item["metric"]["name"]
        facts = {
            "metric": (metric_of, metric),
            "namespace": (described.get("namespace", ""), namespace),
            "window": (item.get("window" if is_first else "windowSeconds"), step.window),
            "selector": (item["selector"] if is_first else item["metric"]["selector"], step.selector),
            "kind": (f"{described['kind']} {described['apiVersion']}", step.kind),
            "timestamp": (item["timestamp"], timestamp_text(step.evaluated_at_seconds)),
        }
        yield from _fact_faults(facts, optional={"kind", "window"})


def _external_faults(step: Step, document: Mapping[str, Any], wanted: Sequence[Labelled]) -> Iterator[str]:
    yield from _list_faults(document, ("ExternalMetricValueList", "/".join(step.segments[:2])))
    found = [Labelled(labels=item["metricLabels"], value=item["value"]) for item in document["items"]]
    if external_order(found) != external_order(wanted):
        yield f"items {found}, not {list(wanted)}"
    for item in document["items"]:
        facts = {
            "metric": (item["metricName"], step.segments[-1]),
            "window": (item.get("window"), step.window),
            "timestamp": (item["timestamp"], timestamp_text(step.evaluated_at_seconds)),
        }
        yield from _fact_faults(facts, optional={"window"})


def _list_faults(document: Mapping[str, Any], wanted: tuple[str, str]) -> Iterator[str]:
    found = (document["kind"], document["apiVersion"])
    if found != wanted or document["metadata"] != {}:
        yield f"{found} with the metadata {document['metadata']}, not {wanted}"


def _fact_faults(facts: Mapping[str, tuple[Any, Any]], *, optional: set[str]) -> Iterator[str]:
    """Yield the facts of an item that are not as wanted; of the optional ones only those that a case speaks of."""
    for name, (found, wanted) in facts.items():
        if name in optional and not wanted:
            continue
        shown = "none" if name == "window" and found is None else str(found) if name == "window" else found
        if shown != wanted:
            yield f"{name} {shown!r}, not {wanted!r}"


def external_order(lines: Sequence[Labelled]) -> list[tuple[bool, list[tuple[str, str]], str]]:
    """Sort by labels, for what Prometheus gives in no order of its own."""
    return sorted((one.labels is None, sorted((one.labels or {}).items()), one.value) for one in lines)


def _place(segments: Sequence[str]) -> tuple[str, str]:
    """Return the namespace that a path of custom metrics names for its objects, empty for none, and the metric."""
    match segments:
        case [_, _, "namespaces", _, "metrics", metric, *_]:
            return "", metric
        case [_, _, "namespaces", namespace, _, _, metric]:
            return namespace, metric
    return "", segments[-1]
