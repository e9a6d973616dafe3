"""Whether a caller may do something: kube-apiserver decides (SubjectAccessReview)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.errors import AccessDenied, AuthorizerFailed, KubernetesUnavailable, UpstreamError
from adapter.kube.gotext import quoted
from adapter.server.auth.attributes import Attributes, FieldRequirement
from adapter.server.auth.ports import AuthObserver, Cluster
from adapter.server.auth.reviews import Answered, Reviews, ReviewTools
from adapter.server.auth.users import MASTERS, User

_PATH: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_PARAMETERS: Final = {"timeout": "10s"}
# As in k8s.io/apiserver: so many verdicts, and none about attributes longer than this (in UTF-8 bytes).
_MAX_ENTRIES: Final = 8192
_MAX_KEPT_BYTES: Final = 10_000
# A reason names a role or a webhook; it is kept, and shown to whoever is refused.
_MAX_REASON_CHARACTERS: Final = 1024
_HTML: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    allowed: bool
    reason: str


class Authorizer:
    """Lets the masters and some paths pass, and asks for everything else; whatever fails, nobody passes."""

    def __init__(
        self,
        cluster: Cluster | None,
        *,
        always_allow_paths: Sequence[str],
        allowed_ttl_seconds: float,
        denied_ttl_seconds: float,
        tools: ReviewTools,
    ) -> None:
        """Without a cluster to ask everything else is denied; raises ConfigError for a path with a `*` inside."""
        self._cluster = cluster
        self._allowed_ttl_seconds = allowed_ttl_seconds
        self._denied_ttl_seconds = denied_ttl_seconds
        self._observer: AuthObserver = tools.observer
        self._paths, self._prefixes = _split_paths(always_allow_paths)
        self._reviews: Reviews[_Verdict] = Reviews(kind="access", max_entries=_MAX_ENTRIES, tools=tools)

    async def check(self, user: User, attributes: Attributes, *, within_seconds: float = 9.0) -> None:
        """Return if the caller may; waits at most so many seconds.

        Raises:
            AccessDenied: the caller may not.
            AuthorizerFailed: nobody could be asked.
        """
        if MASTERS in user.groups:
            self._observer.authorization(kind="privileged", outcome="allowed")
            return
        if self._always_allowed(attributes):
            self._observer.authorization(kind="path", outcome="allowed")
            return
        try:
            verdict = await self._verdict(user, attributes, within_seconds)
        except (UpstreamError, TimeoutError) as error:
            self._observer.authorization(kind="review", outcome="failed")
            raise AuthorizerFailed("the access review failed") from error
        self._observer.authorization(kind="review", outcome="allowed" if verdict.allowed else "denied")
        if not verdict.allowed:
            raise _denied(user, attributes, verdict.reason)

    async def close(self) -> None:
        """Give up the reviews under way."""
        await self._reviews.close()

    def _always_allowed(self, attributes: Attributes) -> bool:
        path = attributes.path.removeprefix("/")
        return not attributes.resource_request and (path in self._paths or path.startswith(self._prefixes))

    async def _verdict(self, user: User, attributes: Attributes, within_seconds: float) -> _Verdict:
        cluster = self._cluster
        if cluster is None:
            return _Verdict(allowed=False, reason="")
        spec = review_spec(user, attributes)
        key = hashlib.sha256(orjson.dumps(spec)).digest()

        async def ask(call_seconds: float) -> Answered[_Verdict]:
            body = {
                "kind": "SubjectAccessReview",
                "apiVersion": "authorization.k8s.io/v1",
                "metadata": {},
                "spec": spec,
                "status": {"allowed": False},
            }
            answer = await cluster.request(
                "POST", _PATH, parameters=_PARAMETERS, body=body, timeout_seconds=call_seconds
            )
            return self._answered(_verdict_of(answer), is_kept=_length(attributes) < _MAX_KEPT_BYTES)

        return await self._reviews.get(key, ask, within_seconds=within_seconds)

    def _answered(self, verdict: _Verdict, *, is_kept: bool) -> Answered[_Verdict]:
        ttl_seconds = self._allowed_ttl_seconds if verdict.allowed else self._denied_ttl_seconds
        return Answered(verdict=verdict, ttl_seconds=ttl_seconds if is_kept else 0.0, is_yes=verdict.allowed)


def review_spec(user: User, attributes: Attributes) -> dict[str, object]:
    """Return the `spec` of a SubjectAccessReview; what is empty is left out."""
    if attributes.resource_request:
        facts: dict[str, object] = {
            "namespace": attributes.namespace,
            "verb": attributes.verb,
            "group": attributes.group,
            "version": attributes.version,
            "resource": attributes.resource,
            "subresource": attributes.subresource,
            "name": attributes.name,
            "fieldSelector": _selector(attributes.field_requirements),
            "labelSelector": _selector(attributes.label_requirements),
        }
        what = {"resourceAttributes": _filled(facts)}
    else:
        what = {"nonResourceAttributes": _filled({"path": attributes.path, "verb": attributes.verb})}
    who: dict[str, object] = {
        "user": user.name,
        "groups": list(user.groups),
        "extra": {key: list(user.extra[key]) for key in sorted(user.extra)},
        "uid": user.uid,
    }
    return {**what, **_filled(who)}


def _selector(requirements: Sequence[FieldRequirement]) -> dict[str, object]:
    if not requirements:
        return {}
    return {
        "requirements": [
            _filled({"key": one.key, "operator": one.operator, "values": list(one.values)}) for one in requirements
        ]
    }


def _filled(facts: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in facts.items() if value}


def _verdict_of(answer: dict[str, Any]) -> _Verdict:
    """Return the verdict of a SubjectAccessReview; raises KubernetesUnavailable for what cannot be read."""
    status = answer.get("status")
    if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
        raise KubernetesUnavailable("the SubjectAccessReview cannot be read", kind="bad_answer")
    reason = status.get("reason")
    denied = bool(status.get("denied"))
    if denied and status["allowed"]:
        raise KubernetesUnavailable("the SubjectAccessReview both allows and denies", kind="bad_answer")
    return _Verdict(
        allowed=status["allowed"], reason=reason[:_MAX_REASON_CHARACTERS] if isinstance(reason, str) else ""
    )


def _denied(user: User, attributes: Attributes, reason: str) -> AccessDenied:
    """Return Kubernetes' own refusal, which names what the caller lacks."""
    words = f"{_escaped(_lacking(user, attributes))}{f': {reason}' if reason else ''}"
    if not attributes.resource:
        return AccessDenied(f"forbidden: {words}", group=attributes.group, name=attributes.name)
    resource = ".".join(filter(None, (attributes.resource, attributes.group)))
    what = f"{resource} {quoted(attributes.name)}" if attributes.name else resource
    return AccessDenied(
        f"{what} is forbidden: {words}",
        group=attributes.group,
        resource=attributes.resource,
        name=attributes.name,
    )


def _lacking(user: User, attributes: Attributes) -> str:
    begin = f"User {quoted(user.name)} cannot {attributes.verb}"
    if not attributes.resource_request:
        return f"{begin} path {quoted(attributes.path)}"
    resource = "/".join(filter(None, (attributes.resource, attributes.subresource)))
    where = f"in the namespace {quoted(attributes.namespace)}" if attributes.namespace else "at the cluster scope"
    return f"{begin} resource {quoted(resource)} in API group {quoted(attributes.group)} {where}"


def _escaped(text: str) -> str:
    for plain, escaped in _HTML:
        text = text.replace(plain, escaped)
    return text


def _length(attributes: Attributes) -> int:
    one = attributes
    parts = (one.namespace, one.verb, one.group, one.version, one.resource, one.subresource, one.name)
    texts = parts if one.resource_request else (one.path,)
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _split_paths(paths: Sequence[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Split paths into those that count as they are and, less their `*`, those that others may follow."""
    for path in paths:
        if "*" in path.removesuffix("*"):
            raise ConfigError(
                (
                    Problem(
                        code="serve/callers",
                        severity=Severity.ERROR,
                        message=f"{path} has a * that is not at its end",
                        location=Location(file="--authorization-always-allow-paths"),
                        hint="write a path, or the beginning of one and a *",
                    ),
                )
            )
    bare = [path.removeprefix("/") for path in paths]
    return (
        frozenset(path for path in bare if not path.endswith("*")),
        tuple(path.removesuffix("*") for path in bare if path.endswith("*")),
    )
