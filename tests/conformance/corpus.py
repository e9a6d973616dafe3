"""What stands in `cases/*.yaml`: worlds, each with rules, series, objects, and the requests that are asked of it.

A world
    about    what it is about, in a sentence
    rules    the text of the rules file, or file names with their texts
    shipped  instead of rules: the name of a file in `config`, which is what the world is about
    series   lines of `name{labels} gauge V`, `counter PER_SECOND` or `old V`, as in `rig.prometheus`
    objects  Kubernetes manifests, or lines of `KIND [NAMESPACE/]NAME [LABEL=VALUE ...]` that stand for them
    flags    flags of the adapter besides those that name the files
    real     why no real Prometheus is asked (what the rig's version does not know); left out if one is
    cases    what follows
A case
    name     the behaviour it pins, in a sentence
    custom, external, path   the request: below v1beta2 of the custom metrics, below the external ones, or in full
    labelSelector, metricLabelSelector   put into the query, percent-encoded
    at       when it is asked, in seconds from the corpus' now
    promql   the query that Prometheus gets; none is sent if this is left out
    samples  Prometheus' answer to it: lines of `{labels} V`, or `V` alone for a scalar
    result   the answer's data as JSON, where it is neither; refusal: that Prometheus refuses it
    status   200 if left out; error: a part of the Status' message
    items    the answer: object names with quantities, or lines of `{labels} QUANTITY` (`null QUANTITY` without labels)
    kind     `Pod /v1`: what the described objects are
    window, selector   of each item: seconds (`none`: it must not be there), the selector's document
    valued   when the values were evaluated, if that is not `at`; cached: the same, and the query is not sent again
    listed   the names of a discovery list
    body     the whole body, where the bytes are the point
    real     as for a world
    steps    several requests, one after the other; what all share stands in the case

Everything but the manifests is text: YAML's types are not used, so `1k`, `no` and `1_0` mean themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

NOW_SECONDS = 1_795_172_434.789  # 2026-11-20T11:00:34Z; samples around it lie in one block of a real Prometheus


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A number or quantity with labels; `labels` is None where there are none to have, as for a scalar."""

    labels: Mapping[str, str] | None
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What Prometheus answers to a query: a vector, a scalar, other data, or a refusal."""

    vector: tuple[Labelled, ...] = ()
    scalar: str = ""
    data: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request and all that is expected of it."""

    path: str
    at_seconds: float
    promql: str | None
    reply: Reply
    status: int
    error: str
    items: tuple[tuple[str, str], ...] | None  # of objects: name and quantity
    external_items: tuple[Labelled, ...] | None
    kind: str
    window: str
    selector: Mapping[str, Any] | None
    cached: bool
    evaluated_at_seconds: float  # when the values were
    listed: tuple[str, ...] | None
    body: str | None

    @property
    def segments(self) -> tuple[str, ...]:
        """Return the segments of the path below `/apis`, percent-decoded."""
        path, _, _ = self.path.partition("?")
        return tuple(map(unquote, path.rstrip("/").split("/")[2:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One behaviour, in one request or several."""

    name: str
    steps: tuple[Step, ...]
    unreal: str  # why no real Prometheus is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Rules, series and objects, and the cases that are asked of them."""

    name: str
    about: str
    rules: Mapping[str, str]
    shipped: str  # which file of ours the rules are; empty if they are the world's own
    series: tuple[str, ...]
    objects: str
    flags: tuple[str, ...]
    cases: tuple[Case, ...]
