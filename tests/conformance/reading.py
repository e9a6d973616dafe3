"""From the files in `cases` to worlds; `corpus` says what may stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from conformance.corpus import NOW_SECONDS, Case, Labelled, Reply, Step, World

FOLDER = Path(__file__).parent / "cases"
SHIPPED = Path(__file__).parents[2] / "config"
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"

_WORLD_KEYS = {"about", "rules", "shipped", "series", "objects", "flags", "real", "cases"}
_REQUEST_KEYS = {"custom", "external", "path"}
_STEP_KEYS = {
    *_REQUEST_KEYS,
    *("labelSelector", "metricLabelSelector", "at", "promql", "samples", "result", "refusal", "status", "error"),
    *("items", "kind", "window", "selector", "valued", "cached", "listed", "body"),
}
_CASE_KEYS = {*_STEP_KEYS, "name", "real", "steps"}
_LINE = re.compile(r"(?P<metric>[a-zA-Z_:][a-zA-Z0-9_:]*)?(?:\{(?P<labels>.*)\})?(?:^|(?<=\})\s*|\s+)(?P<value>\S+)")
_PAIR = re.compile(r'("(?:[^"\\]|\\.)*"|[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:[^"\\]|\\.)*")\s*(?:,\s*|$)')


class BadCaseError(ValueError):
    """A case cannot be what its author meant."""


def read_corpus(folder: Path = FOLDER) -> tuple[World, ...]:
    """Return every world, in the order of the files' names.

    Raises:
        BadCaseError: a file has other keys than those above, or they contradict each other.
    """
    return tuple(_world(path) for path in sorted(folder.glob("*.yaml")))


def labelled(line: str) -> Labelled:
    """Read `{labels} value`, `name{labels} value` or `value`; a name becomes the label `__name__`.

    Raises:
        BadCaseError: it is neither.
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise BadCaseError(f"not a sample: {line}")
    metric, inside = match["metric"], match["labels"]
    if inside is None and (metric is None or metric == "null"):
        return Labelled(labels=None, value=match["value"])
    labels = {_plain(name): json.loads(value) for name, value in _PAIR.findall(inside or "")}
    if _PAIR.sub("", inside or ""):
        raise BadCaseError(f"labels cannot be read: {line}")
    return Labelled(labels={"__name__": metric, **labels} if metric else labels, value=match["value"])


def _plain(name: str) -> str:
    return str(json.loads(name)) if name.startswith('"') else name


# ---- worlds


def _world(path: Path) -> World:
    # Nothing but texts, lists and mappings: what stands there is what is meant.
    written = path.read_text(encoding="utf-8")
    text = yaml.load(written, Loader=yaml.BaseLoader)  # noqa: S506 - builds no objects
    _check_keys(path.name, text, _WORLD_KEYS, needed={"about", "cases"})
    if ("rules" in text) is ("shipped" in text):
        raise BadCaseError(f"{path.name}: either rules or shipped")
    shipped = text.get("shipped", "")
    rules = {shipped: (SHIPPED / shipped).read_text(encoding="utf-8")} if shipped else text["rules"]
    real = text.get("real", "")
    cases = tuple(_case(f"{path.stem}: ", one, real) for one in text["cases"])
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise BadCaseError(f"{path.name}: two cases have one name")
    return World(
        name=path.stem,
        about=text["about"],
        rules={"rules.yaml": rules} if isinstance(rules, str) else rules,
        shipped=shipped,
        series=tuple(text.get("series") or ()),
        objects=json.dumps({"apiVersion": "v1", "kind": "List", "items": _manifests(written)}),
        flags=tuple(text.get("flags") or ()),
        cases=cases,
    )


def _manifests(written: str) -> list[Any]:
    """Return a file's manifests, with their types; those in one line are spelled out."""
    objects = yaml.safe_load(written).get("objects") or []
    return [one if isinstance(one, dict) else _manifest(one) for one in objects]


_API_VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "Ingress": "networking.k8s.io/v1",
}


def _manifest(line: str) -> Mapping[str, Any]:
    kind, place, *labels = line.split()
    namespace, _, name = place.rpartition("/")
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(pair.split("=", 1) for pair in labels)
    return {"apiVersion": _API_VERSIONS.get(kind, "v1"), "kind": kind, "metadata": metadata}


# ---- cases


def _case(world: str, text: Any, unreal: str) -> Case:
    name = text.get("name", "")
    _check_keys(world + name, text, _CASE_KEYS, needed={"name"})
    shared = {key: value for key, value in text.items() if key in _STEP_KEYS}
    steps = text.get("steps") or [{}]
    for step in steps:
        _check_keys(world + name, step, _STEP_KEYS)
    try:
        return Case(
            name=name,
            steps=tuple(_step({**shared, **step}) for step in steps),
            unreal=text.get("real", unreal),
        )
    except (BadCaseError, KeyError, ValueError) as error:
        raise BadCaseError(f"{world}{name}: {error}") from error


def _step(text: Mapping[str, Any]) -> Step:
    path, items = _path(text), text.get("items")
    at_seconds = NOW_SECONDS + float(text.get("at", 0))
    status = int(text.get("status", 200))
    step = Step(
        path=path,
        at_seconds=at_seconds,
        promql=text.get("promql"),
        reply=_reply(text),
        status=status,
        error=text.get("error", ""),
        items=tuple((items or {}).items()) if path.startswith("/apis/custom") and items is not None else None,
        external_items=_lines(items) if path.startswith("/apis/external") and items is not None else None,
        kind=text.get("kind", ""),
        window=text.get("window", ""),
        selector=text.get("selector"),
        cached="cached" in text,
        evaluated_at_seconds=NOW_SECONDS + float(text.get("cached", text.get("valued", text.get("at", 0)))),
        listed=tuple(text["listed"]) if "listed" in text else None,
        body=text.get("body"),
    )
    _check_step(step, text)
    return step


def _check_step(step: Step, text: Mapping[str, Any]) -> None:
    answered = {"items", "listed", "body"} & text.keys()
    faults = {
        "an answer of 200 has items, a list or a body": step.status == 200 and not answered,
        "an error has an error text or a body": step.status != 200 and not {"error", "body"} & text.keys(),
        "an error has no items": step.status != 200 and "items" in text,
        "what Prometheus answers needs a query": step.promql is None
        and bool({"samples", "result", "refusal"} & text.keys()),
        "a query needs an answer": step.promql is not None and len({"samples", "result", "refusal"} & text.keys()) != 1,
    }
    if wrong := [fault for fault, is_so in faults.items() if is_so]:
        raise BadCaseError("; ".join(wrong))


def _path(text: Mapping[str, Any]) -> str:
    (key,) = _REQUEST_KEYS & text.keys()
    start = {"custom": CUSTOM, "external": EXTERNAL, "path": ""}[key] + str(text[key])
    query = [
        f"{name}={quote(text[name], safe='')}" for name in ("labelSelector", "metricLabelSelector") if name in text
    ]
    return start + ("?" + "&".join(query) if query else "")


def _reply(text: Mapping[str, Any]) -> Reply:
    samples = _lines(text.get("samples"))
    if len(samples) == 1 and samples[0].labels is None:
        return Reply(scalar=samples[0].value)
    return Reply(vector=samples, data=text.get("result", ""), refusal=text.get("refusal", ""))


def _lines(text: str | Sequence[str] | None) -> tuple[Labelled, ...]:
    lines = (text or "").splitlines() if isinstance(text, str | None) else text
    return tuple(labelled(line) for line in lines if line.strip())


def _check_keys(place: str, text: Any, known: set[str], needed: frozenset[str] | set[str] = frozenset()) -> None:
    if not isinstance(text, dict):
        raise BadCaseError(f"{place}: not a mapping")
    if unknown := set(text) - known:
        raise BadCaseError(f"{place}: unknown keys {sorted(unknown)}")
    if missing := set(needed) - set(text):
        raise BadCaseError(f"{place}: no {sorted(missing)}")


def names_written(folder: Path = FOLDER) -> Iterator[str]:
    """Yield the names of the cases as they stand in the files of a folder, found without understanding these."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            lines: list[str] = re.findall(r"^- name: .*$", path.read_text(encoding="utf-8"), re.MULTILINE)
            yield from (str(yaml.safe_load(line)[0]["name"]) for line in lines)
