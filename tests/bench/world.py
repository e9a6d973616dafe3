"""The storm's world: who asks for what, and what is true. All of it follows from numbers, so nobody keeps it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from rig.remote_write import WrittenSeries

RULES = 20
NAMESPACES = 50
_LEAST_PODS, _MOST_PODS = 5, 20
STEP_SECONDS = 15  # between two samples, which lie on whole multiples of it
_BEFORE_SECONDS = 180  # a rate looks back two minutes
_SLOTS = 16
# Half of the rules give a gauge that changes with each sample, so that a value must fit its timestamp; the others a rate.
_RULE = """- seriesQuery: NAME{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(EXPRESSION) by (<<.GroupBy>>)
"""
_GAUGE = "<<.Series>>{<<.LabelMatchers>>}"
_RATE = "rate(<<.Series>>{<<.LabelMatchers>>}[2m])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hpa:
    """One autoscaler with a Pods metric: its number says all of it."""

    number: int

    @property
    def namespace(self) -> str:
        """Where its pods are."""
        return f"team-{_scattered('namespace', self.number, NAMESPACES):02}"

    @property
    def app(self) -> str:
        """The value of the label `app` of its pods."""
        return f"app-{self.number:05}"

    @property
    def rule(self) -> int:
        """The number of the rule of its metric."""
        return _scattered("rule", self.number, RULES)

    @property
    def metric(self) -> str:
        """The name of its metric."""
        return metric(self.rule)

    @property
    def pods(self) -> list[str]:
        """The names of its pods, as a ReplicaSet names them."""
        count = _LEAST_PODS + self.number * 7 % (_MOST_PODS - _LEAST_PODS + 1)
        return [f"{self.app}-6d4b75cb6d-x{pod:03}" for pod in range(count)]

    @property
    def path(self) -> str:
        """What the HPA controller asks for."""
        base = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{self.namespace}/pods/*/{self.metric}"
        return f"{base}?labelSelector=app%3D{self.app}"

    @property
    def query_path(self) -> str:
        """The query that answers this HPA alone."""
        matchers = f'namespace="{self.namespace}",pod=~"{"|".join(self.pods)}"'
        selector = f"{self.metric}{{{matchers}}}"
        expression = f"rate({selector}[2m])" if _is_rate(self.rule) else selector
        return f"/api/v1/query?query={quote(f'sum({expression}) by (pod)', safe='')}"

    def truth(self, at: float) -> dict[str, float]:
        """Return the value of each pod at a time (seconds since 1970)."""
        pods = self.pods
        if _is_rate(self.rule):
            return {pod: _per_second(self.number, place) for place, pod in enumerate(pods)}
        return {pod: _gauge(self.number, place, at) for place, pod in enumerate(pods)}


def metric(rule: int) -> str:
    """Return the name of a rule's series and metric."""
    return f"storm_{rule:02}"


def rules() -> str:
    """Return the rules file."""
    texts = [
        _RULE.replace("EXPRESSION", _RATE if _is_rate(rule) else _GAUGE).replace("NAME", metric(rule))
        for rule in range(RULES)
    ]
    return "rules:\n" + "".join(texts)


def hpas(count: int) -> list[Hpa]:
    """Return so many HPAs."""
    return [Hpa(number=number) for number in range(count)]


def turns(count: int) -> list[int]:
    """Return the HPAs' numbers in the order of their turns in a period: neighbours have nothing in common."""
    order = list(range(count))
    random.Random(1).shuffle(order)  # noqa: S311 - the same in each run
    return order


def series(count: int, *, now_seconds: float, seconds: float) -> Iterator[WrittenSeries]:
    """Yield the series of all pods of so many HPAs, from a little before now to so many seconds after."""
    begin = (int(now_seconds) - _BEFORE_SECONDS) // STEP_SECONDS * STEP_SECONDS
    times = range(begin, int(now_seconds + seconds) + STEP_SECONDS, STEP_SECONDS)
    young = [at for at in times if at > now_seconds - 2 * STEP_SECONDS]  # a gauge needs its last sample only
    for hpa in hpas(count):
        labels = {"__name__": hpa.metric, "namespace": hpa.namespace, "job": "kubernetes-pods", "container": "app"}
        for place, pod in enumerate(hpa.pods):
            if _is_rate(hpa.rule):
                rate = _per_second(hpa.number, place)
                samples = [(float(at), rate * (at - begin)) for at in times]
            else:
                samples = [(float(at), _gauge(hpa.number, place, at)) for at in young]
            yield WrittenSeries(labels={**labels, "pod": pod}, samples=samples)


def pods(count: int) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Yield namespace, name and labels of all pods of so many HPAs."""
    for hpa in hpas(count):
        labels = {"app": hpa.app, "pod-template-hash": "6d4b75cb6d"}
        for pod in hpa.pods:
            yield hpa.namespace, pod, labels


def _scattered(what: str, number: int, count: int) -> int:
    """Return one of so many as by chance, the same each time."""
    digest = hashlib.blake2b(f"{what} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


def _is_rate(rule: int) -> bool:
    return rule % 2 == 0


def _per_second(number: int, place: int) -> float:
    return (number * 13 + place * 3) % 200 + 0.125


def _gauge(number: int, place: int, at: float) -> float:
    """Return the value since the last sample: the place of that in a small circle is in it."""
    return (number * 31 + place * 7) % 1000 + 0.125 + int(at) // STEP_SECONDS % _SLOTS
