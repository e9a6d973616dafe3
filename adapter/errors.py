"""The errors that cross a layer, one tree.

    AdapterError
    |- RequestError               the caller's fault: 4xx
    |  |- InvalidPath             400  a path of the right length that no route understands
    |  |- InvalidSelector         400  a label, metric label or field selector that cannot be read
    |  |- UnsupportedSelector     400  a selector that can be read and cannot be put to Prometheus
    |  |- InvalidOption           400  another query parameter (limit, timeout, ...)
    |  |- ForbiddenOption         422  list options that exclude each other
    |  |- Unauthenticated         401  credentials that prove nobody
    |  |- AccessDenied            403  a caller who may not do this
    |  |- Forbidden               403  a rule does not serve this namespace
    |  |- MetricNotFound          404  no such metric, no such object, or no value for it
    |  |- ObjectNotFound          404  no such pod or node, or no use of it
    |  |- RouteNotFound           404  no such path
    |  |- MethodNotAllowed        405
    |  |- WatchNotSupported       405
    |  `- NotAcceptable           406
    `- UpstreamError              not the caller's fault: 5xx
       |- PrometheusUnavailable   500  no answer, a broken answer, or a breaker that is open
       |- QueryRejected           500  Prometheus understood the request and refused it (400, 422)
       |- PartialAnswer           500  an answer with warnings: some of the data is missing
       |- UnusableResult          500  an answer that the rule's policy refuses, or of an unexpected type
       |- UseUnknown              500  cpu and memory of a namespace's pods, or of the nodes, cannot be told
       |- UnexpectedResultType    500  a matrix where an external metric wants samples
       |- ReferenceDefect         500  an error of prometheus-adapter's that --compat=strict gives back
       |- ObjectsUnavailable      500  the objects cannot be listed
       |- KubernetesUnavailable   500  no answer of kube-apiserver, or a broken one
       |- KubernetesForbidden     500  the adapter's own account lacks a permission
       |- KubernetesNotFound      500  kube-apiserver has no such object
       |- KubernetesConflict      500  another writer was faster
       |- ClusterGone             500  a list or a watch has to begin anew (410)
       |- AuthorizerFailed        500  nobody could say whether a caller may do this
       `- DeadlineExceeded        504

    ConfigError (many Problems) lives in config.problems; it never reaches HTTP.

Leaves carry plain facts and know nothing of HTTP: server.status maps classes to codes, and a test walks this tree.
"""

from __future__ import annotations


class AdapterError(Exception):
    """Any error of ours; `str(error)` is the text a caller may see."""


class RequestError(AdapterError):
    """The caller asked for something that cannot be answered."""


class InvalidPath(RequestError):
    """The path has the right length, yet names nothing."""

    def __init__(self) -> None:
        super().__init__("invalid request path")


class InvalidSelector(RequestError):
    """A selector cannot be read; the text is the one Kubernetes gives."""


class UnsupportedSelector(RequestError):
    """A selector can be read but cannot be put to Prometheus; the text says what to write instead."""


class InvalidOption(RequestError):
    """A query parameter cannot be read."""


class ForbiddenOption(RequestError):
    """List options exclude each other; `field` and `detail` are what Kubernetes names in the cause."""

    def __init__(self, *, field: str, detail: str, cause: str = "FieldValueForbidden") -> None:
        super().__init__(f'ListOptions.meta.k8s.io "" is invalid: {field}: {detail}')
        self.field = field
        self.detail = detail
        self.cause = cause


class Unauthenticated(RequestError):
    """Credentials were given and none proves who the caller is; `reasons` are for the log, not for the caller."""

    def __init__(self, reasons: tuple[str, ...] = ()) -> None:
        super().__init__("Unauthorized")
        self.reasons = reasons


class AccessDenied(RequestError):
    """A caller may not do this; the text and the facts are those of Kubernetes' own refusal.

    `group`, `resource` and `name` are empty for what is no resource, and `name` is for a list.
    """

    def __init__(self, message: str, *, group: str = "", resource: str = "", name: str = "") -> None:
        super().__init__(message)
        self.group = group
        self.resource = resource
        self.name = name


class Forbidden(RequestError):
    """The rule that serves a metric does not serve this namespace."""


class MetricNotFound(RequestError):
    """There is no such metric, or no value for the object; classic wording first, our reason behind it."""

    def __init__(self, *, metric: str, resource: str, name: str = "", selector: str = "", reason: str = "") -> None:
        classic = f"the server could not find the metric {metric} for {resource}"
        if name:
            classic += f" {name}"
        if selector:
            classic += f" with selector {selector}"
        super().__init__(f"{classic}: {reason}" if reason else classic)
        self.metric = metric
        self.resource = resource
        self.name = name
        self.selector = selector
        self.reason = reason


class RouteNotFound(RequestError):
    """No route has this path."""

    def __init__(self) -> None:
        super().__init__("the server could not find the requested resource")


class ObjectNotFound(RequestError):
    """There is no such object; `kind` is the word that the API servers use, `group` empty for the core group."""

    def __init__(self, *, kind: str, name: str, group: str = "") -> None:
        super().__init__(f'{kind}.{group} "{name}" not found' if group else f'{kind} "{name}" not found')
        self.kind = kind
        self.name = name
        self.group = group


class MethodNotAllowed(RequestError):
    """The path exists, but not for this method."""

    def __init__(self) -> None:
        super().__init__("the server does not allow this method on the requested resource")


class WatchNotSupported(RequestError):
    """A watch of something that can only be read."""

    def __init__(self, *, kind: str, group: str) -> None:
        super().__init__(f'watch is not supported on resources of kind "{kind}.{group}"')
        self.kind = kind
        self.group = group


class NotAcceptable(RequestError):
    """No media type that the caller accepts can be given; `available` lists those that can."""

    def __init__(self, message: str, *, available: tuple[str, ...]) -> None:
        super().__init__(message)
        self.available = available


class UpstreamError(AdapterError):
    """Something behind the adapter failed; the cause goes to the log, the caller gets our words."""


class PrometheusUnavailable(UpstreamError):
    """Prometheus gave no answer, or one that cannot be read; `kind` is a short word for metrics and breakers."""

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class QueryRejected(UpstreamError):
    """Prometheus understood the request and refused it; `status` is the HTTP status, `kind` its errorType."""

    def __init__(self, message: str, *, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class QueryTooLarge(UpstreamError):
    """What one request asks for is more than Prometheus takes in a query, and cannot be divided; names the rule."""

    def __init__(self, *, rule: str) -> None:
        super().__init__(f"the query of rule {rule} is beyond a limit of Prometheus, for what this request alone asks")
        self.rule = rule


class PartialAnswer(UpstreamError):
    """An answer came with warnings, so some data is missing from it."""

    def __init__(self, warnings: tuple[str, ...]) -> None:
        super().__init__("; ".join(warnings))
        self.warnings = warnings


class UnusableResult(UpstreamError):
    """An answer that a rule's policy refuses, or of a type that cannot be served; names the rule."""


class UseUnknown(UpstreamError):
    """Cpu and memory cannot be told; `subject` names the namespace, or the nodes, `reason` is for the caller too."""

    def __init__(self, *, subject: str, reason: str = "") -> None:
        words = f"unable to fetch metrics of {subject}"
        super().__init__(f"{words}: {reason}" if reason else words)
        self.subject = subject
        self.reason = reason


class UnexpectedResultType(UpstreamError):
    """A result of a type that no external metric can be made of; the text is prometheus-adapter's."""

    def __init__(self) -> None:
        super().__init__("encountered an unexpected query result type")


class ReferenceDefect(UpstreamError):
    """An error that prometheus-adapter gives where nothing is wrong, given back under --compat=strict."""


class ObjectsUnavailable(UpstreamError):
    """The objects of a resource cannot be listed."""

    def __init__(self, message: str = "unable to list matching resources") -> None:
        super().__init__(message)


class KubernetesUnavailable(UpstreamError):
    """kube-apiserver gave no answer, or one that cannot be used; `kind` is a short word for metrics and back-off.

    `kind` is timeout, connection, status or bad_answer; `status` is the HTTP status, if there was one.
    """

    def __init__(self, message: str, *, kind: str, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class KubernetesForbidden(UpstreamError):
    """The adapter's own account may not do something; the text names the missing permission."""

    def __init__(self, *, verb: str, resource: str, namespace: str = "") -> None:
        where = f" in namespace {namespace}" if namespace else ""
        super().__init__(f"the adapter may not {verb} {resource}{where}: grant it to its service account")
        self.verb = verb
        self.resource = resource
        self.namespace = namespace


class KubernetesNotFound(UpstreamError):
    """kube-apiserver has no object at a path (404)."""


class KubernetesConflict(UpstreamError):
    """An object was changed, or made, by another writer meanwhile (409)."""


class ClusterGone(UpstreamError):
    """A list or a watch cannot go on from where it was, and has to begin anew (410)."""


class AuthorizerFailed(UpstreamError):
    """Nobody could be asked whether a caller may do something, so the caller may not."""


class DeadlineExceeded(UpstreamError):
    """The request's deadline passed before everything was known."""
