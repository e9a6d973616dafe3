"""From words on the command line to the path that a client of the metrics APIs asks for, and only that."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from adapter.cli.usage import UsageError
from adapter.kube.resources import Kinds, parse_group_resource

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"

# What kubectl takes when nobody names a namespace.
_DEFAULT_NAMESPACE = "default"
# Stay readable in a path: `*` is what the HPA sends, and colons are part of recording rules' names.
_PLAIN = "*:"

_EXAMPLES = (
    "for example `pods/* http_requests_per_second -n shop -l app=web`, `external queue_depth -n shop`, or a path"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A request as a person types it; None stands for an option that was not given."""

    request: tuple[str, ...]
    namespace: str | None = None
    selector: str | None = None
    metric_selector: str | None = None


def path_of(words: Words, kinds: Kinds) -> str:
    """Return the raw path, with its query, that the words mean; the kinds say which of them live in namespaces.

    Raises:
        UsageError: the words do not make a request.
    """
    match words.request:
        case [path] if _is_path(path):
            return _raw(path, words)
        case ["external", metric] if metric:
            return _external(metric, words)
        case [subject, metric] if subject and metric and "/" not in metric:
            return _custom(subject, metric, words, kinds)
    raise UsageError(f"`{' '.join(words.request)}` is no request; write {_EXAMPLES}")


def _is_path(text: str) -> bool:
    return text.startswith(("/", "https://", "http://"))


def _raw(path: str, words: Words) -> str:
    given = {"-n": words.namespace, "-l": words.selector, "--metric-selector": words.metric_selector}
    if extra := [name for name, value in given.items() if value is not None]:
        raise UsageError(f"a path says everything itself, so leave out {', '.join(extra)}")
    if path.startswith("/"):
        return path
    try:
        parts = urlsplit(path)
    except ValueError as error:
        raise UsageError(f"`{path}` is no address: {error}") from error
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _external(metric: str, words: Words) -> str:
    if words.metric_selector is not None:
        raise UsageError("an external metric has one selector, that of its labels: write it with -l")
    namespace = _DEFAULT_NAMESPACE if words.namespace is None else words.namespace
    return f"{EXTERNAL}/namespaces/{_segment(namespace)}/{_segment(metric)}" + _query(labelSelector=words.selector)


def _custom(subject: str, metric: str, words: Words, kinds: Kinds) -> str:
    resource, slash, name = subject.partition("/")
    if "/" in name or (slash and not name):
        raise UsageError(f"`{subject}` names no object; write RESOURCE/NAME or RESOURCE/*")
    name = name or "*"
    if name != "*" and words.selector is not None:
        raise UsageError(f"-l picks among all {resource}, and {name} is one of them; write {resource}/* with -l")
    where = _where(resource, name, words.namespace, kinds)
    query = _query(labelSelector=words.selector, metricLabelSelector=words.metric_selector)
    return f"{CUSTOM}/{where}/{_segment(metric)}{query}"


def _where(resource: str, name: str, namespace: str | None, kinds: Kinds) -> str:
    """Return the part of the path that names the objects, as Kubernetes' own client writes it."""
    kind = kinds.resolve(parse_group_resource(resource))
    if kind is not None and not kind.group and kind.plural == "namespaces":
        return f"namespaces/{_segment(name)}/metrics"
    objects = f"{_segment(resource)}/{_segment(name)}"
    if namespace is None and kind is not None and not kind.namespaced:
        return objects
    return f"namespaces/{_segment(_DEFAULT_NAMESPACE if namespace is None else namespace)}/{objects}"


def _segment(text: str) -> str:
    return quote(text, safe=_PLAIN, errors="surrogateescape")


def _query(**parameters: str | None) -> str:
    given = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(given, quote_via=quote, safe='', errors='surrogateescape')}" if given else ""
