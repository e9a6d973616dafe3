"""A metric of a HorizontalPodAutoscaler, or a whole one, as it has to be written: `tidegauge hpa-snippet`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapter.cli.hpa_choice import Choice, Wish, choose, is_path_segment
from adapter.cli.manifest_format import ManifestFormat, MetricKind
from adapter.cli.output import Page, Streams, write_json
from adapter.cli.rules_looked_at import look_at_rules
from adapter.cli.usage import UsageError
from adapter.errors import InvalidSelector
from adapter.kube.commented_yaml import Noted, commented_yaml, plain
from adapter.kube.hpa_documents import (
    Measure,
    Scaling,
    Target,
    autoscaler,
    identifier,
    label_selector,
    metric,
    read_amount,
)
from adapter.kube.resources import Kind
from adapter.kube.selectors import parse_selector
from adapter.rules.permissions import rule_name

EXIT_NOT_ASKED = 1

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_INT32: Final = 2**31 - 1
_FEWEST, _MOST = 1, 10

# The first of each is taken if nothing is said.
_MEASURES: Final = {
    MetricKind.PODS: (Measure.AVERAGE,),
    MetricKind.OBJECT: (Measure.VALUE, Measure.AVERAGE),
    MetricKind.EXTERNAL: (Measure.AVERAGE, Measure.VALUE),
    MetricKind.RESOURCE: (Measure.UTILIZATION, Measure.AVERAGE),
}
# What is printed if no target is given.
_PLACE_HOLDERS: Final = {Measure.AVERAGE: "100", Measure.VALUE: "100", Measure.UTILIZATION: "80%"}

_MEANINGS: Final = {
    (MetricKind.PODS, Measure.AVERAGE): "AverageValue: the mean of the values of all pods is kept at the target.",
    (MetricKind.OBJECT, Measure.VALUE): (
        "Value: the object's value is compared with the target, whatever the number of pods; twice the target means "
        "twice the pods, so more pods must bring the value down. AverageValue would divide it by the number of pods."
    ),
    (MetricKind.OBJECT, Measure.AVERAGE): (
        "AverageValue: the object's value is divided by the number of pods, so the target is the share of each pod. "
        "Value would compare it undivided."
    ),
    (MetricKind.EXTERNAL, Measure.AVERAGE): (
        "AverageValue: the sum of all series that the selector picks is divided by the number of pods, so the target "
        "is the share of each pod. Value would compare it undivided."
    ),
    (MetricKind.EXTERNAL, Measure.VALUE): (
        "Value: the sum of all series that the selector picks is compared with the target, whatever the number of "
        "pods; twice the target means twice the pods, so more pods must bring it down. AverageValue would divide it "
        "by the number of pods."
    ),
    (MetricKind.RESOURCE, Measure.UTILIZATION): (
        "Utilization: the mean use of all pods in percent of their requests, so all containers must have a request."
    ),
    (MetricKind.RESOURCE, Measure.AVERAGE): "AverageValue: the mean use of all pods, in cores or bytes.",
}
_THOUSANDTHS: Final = "Values are told in thousandths: 2500m is 2.5."


@dataclass(frozen=True, slots=True, kw_only=True)
class SnippetOptions:
    """What the command line says; None and empty text mean that it does not."""

    wish: Wish
    target: str = ""
    measure: Measure | None = None
    selector: str | None = None
    deployment: str = ""
    minimum: int | None = None
    maximum: int | None = None


async def print_hpa_snippet(
    options: SnippetOptions, *, flags: Sequence[str], format_: ManifestFormat, streams: Streams
) -> int:
    """Print the metric or the autoscaler; the exit code is 1 if a series query could not be asked."""
    scaling = _scaling(options)
    if not is_path_segment(options.wish.metric):
        raise UsageError(f'no metric that can be asked for is called "{options.wish.metric}"')
    looked = await look_at_rules(flags, streams)
    choice = choose(options.wish, looked)
    target = _target(options, choice.kind)
    block = metric(_type_name(choice.kind), _fields(options, choice, target), why=_reasons(options, choice, target))
    document: Any = autoscaler(scaling, [block]) if scaling else {"metrics": [block]}
    if format_ is ManifestFormat.JSON:
        write_json(streams.out, plain(document))
    else:
        where = () if scaling else ("Below `spec` of a HorizontalPodAutoscaler (autoscaling/v2):",)
        streams.out.write(commented_yaml(Noted(document, above=where)))
    aside = Page(streams.err)
    failures = [f"the series query {query} could not be asked: {why}" for query, why in looked.failing.items()]
    for doubt in (*failures, *choice.doubts, *_place_holder(options, target)):
        aside.line(f"warning: {doubt}")
    return EXIT_NOT_ASKED if looked.failing else 0


# ---- what the command line says


def _scaling(options: SnippetOptions) -> Scaling | None:
    if options.wish.namespace and not _LABEL.fullmatch(options.wish.namespace):
        raise UsageError(f'--namespace: no namespace can be called "{options.wish.namespace}"')
    if not options.deployment:
        if options.minimum is not None or options.maximum is not None:
            raise UsageError("--min and --max belong to a whole autoscaler: give --deployment, too")
        return None
    if not _SUBDOMAIN.fullmatch(options.deployment):
        raise UsageError(f'--deployment: no Deployment can be called "{options.deployment}"')
    minimum = _FEWEST if options.minimum is None else options.minimum
    maximum = max(minimum, _MOST) if options.maximum is None else options.maximum
    if minimum < 1:
        raise UsageError("--min: at least 1; Kubernetes scales to 0 only behind its feature gate HPAScaleToZero")
    if not minimum <= maximum <= _INT32:
        raise UsageError(f"--max: {maximum} is not between --min, which is {minimum}, and {_INT32}")
    return Scaling(deployment=options.deployment, namespace=options.wish.namespace, minimum=minimum, maximum=maximum)


def _target(options: SnippetOptions, kind: MetricKind) -> Target:
    possible = _MEASURES[kind]
    measure = options.measure or _measure_of(options.target, possible)
    if measure not in possible:
        names = " or ".join(one.value for one in possible)
        raise UsageError(f"--target: the type {kind.value} has no target of type {measure.value}, but {names}")
    text = options.target or _PLACE_HOLDERS[measure]
    try:
        return Target(measure=measure, amount=read_amount(text, measure))
    except ValueError as error:
        raise UsageError(f'--target: "{text}": {error}; for example 100, 500m, 2k, and 50% of cpu or memory') from error


def _measure_of(target: str, possible: Sequence[Measure]) -> Measure:
    """Return the type of target that its text means."""
    if target.endswith("%"):
        return Measure.UTILIZATION
    return possible[0] if not target or possible[0] is not Measure.UTILIZATION else Measure.AVERAGE


def _place_holder(options: SnippetOptions, target: Target) -> Iterator[str]:
    if not options.target:
        yield f"no --target was given, so {target.amount} stands there for the number that you want"


# ---- what is printed


def _type_name(kind: MetricKind) -> str:
    return kind.value.capitalize()


def _fields(options: SnippetOptions, choice: Choice, target: Target) -> dict[str, Any]:
    wish = options.wish
    if choice.kind is MetricKind.RESOURCE:
        if options.selector is not None:
            raise UsageError(f"{wish.metric} is measured for the pods that are scaled, so leave out --selector")
        return {"name": wish.metric, "target": target.document()}
    named = identifier(wish.metric, _selector(options.selector))
    if choice.object_kind is None:
        return {"metric": named, "target": target.document()}
    described = {
        "apiVersion": _api_version(choice.object_kind),
        "kind": choice.object_kind.kind,
        "name": choice.object_name,
    }
    return {"describedObject": described, "metric": named, "target": target.document()}


def _selector(text: str | None) -> Any:
    try:
        return label_selector(parse_selector(text or ""))
    except (InvalidSelector, ValueError) as error:
        raise UsageError(f"--selector: {error}") from error


def _api_version(kind: Kind) -> str:
    return kind.api_version.removeprefix("/")


def _reasons(options: SnippetOptions, choice: Choice, target: Target) -> Iterator[str]:
    if choice.candidate is not None:
        yield f"{options.wish.metric}: rule {rule_name(choice.candidate.rule)}"
    yield _MEANINGS[choice.kind, target.measure]
    if choice.object_kind is not None and choice.object_kind.kind == "Namespace" and not choice.object_kind.group:
        yield "An autoscaler asks for its own namespace, whatever the name says."
    if choice.kind in (MetricKind.PODS, MetricKind.OBJECT) and options.selector:
        yield "The selector narrows the series; the objects are known without it."
    if target.measure is not Measure.UTILIZATION:
        yield _THOUSANDTHS
