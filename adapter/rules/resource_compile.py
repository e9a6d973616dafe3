"""From `resourceRules` as a person wrote them to rules in force."""

from __future__ import annotations

from collections.abc import Sequence

from adapter.config.load import LoadedFile
from adapter.config.problems import Problem, Severity
from adapter.config.schema import ResourceRule
from adapter.kube.resources import GroupResource
from adapter.rules.association import Association
from adapter.rules.compile_parts import FileCompiler, Path, Terms
from adapter.rules.resource_rule import ResourceRules, UseRule
from adapter.rules.rule import Compat

_SECTION = "resourceRules"


def compile_resource_rules(files: Sequence[LoadedFile], terms: Terms, problems: list[Problem]) -> ResourceRules | None:
    """Return the resource rules of the one file that has them, None if none has; faults are added to `problems`."""
    given = [file for file in files if file.model.resource_rules is not None]
    compiled = [_ResourceCompiler(file=file, terms=terms, problems=problems).compiled() for file in given]
    for file in given[1:]:
        first = given[0].source.locate_key((_SECTION,))
        problems.append(
            Problem(
                code="resource-rule/several",
                severity=Severity.ERROR,
                message=f"`resourceRules` stand at {first.file}:{first.line} already",
                location=file.source.locate_key((_SECTION,)),
                hint="keep those of one file: a cluster has one metrics.k8s.io",
                rule=_SECTION,
            )
        )
    return compiled[0] if compiled else None


class _ResourceCompiler(FileCompiler):
    """Compiles the resource rules of one file."""

    def compiled(self) -> ResourceRules | None:
        """Return the rules; None if they belong to a backend that is not in force."""
        written, defaults = self.file.model.resource_rules, self.file.model.defaults
        if written is None:
            return None
        self.rule_id = _SECTION
        if not self.backend_serves(defaults.backend if defaults else None, at=("defaults", "backend")):
            return None
        ttl_seconds = defaults.cache_ttl if defaults else None
        stale_seconds = defaults.stale_if_error if defaults else None
        return ResourceRules(
            cpu=self._rule("cpu", written.cpu),
            memory=self._rule("memory", written.memory),
            window_seconds=written.window,
            cache_ttl_seconds=self.terms.cache_ttl_seconds if ttl_seconds is None else ttl_seconds,
            stale_if_error_seconds=self.terms.stale_if_error_seconds if stale_seconds is None else stale_seconds,
            cut=self.terms.compat is Compat.STRICT,
        )

    def _rule(self, name: str, written: ResourceRule | None) -> UseRule | None:
        if written is None:
            return None
        path: Path = (_SECTION, name)
        self.rule_id = f"{_SECTION}.{name}"
        container_query = self.template((*path, "containerQuery"), written.container_query)
        node_query = self.template((*path, "nodeQuery"), written.node_query)
        association = self.association((*path, "resources"), written.resources) or Association()
        return UseRule(
            id=self.rule_id,
            location=self.location(path),
            container_query=container_query,
            node_query=node_query,
            namespace_label=self._label(association, "namespaces"),
            pod_label=self._label(association, "pods"),
            node_label=self._label(association, "nodes"),
            container_label=written.container_label,
        )

    def _label(self, association: Association, resource: str) -> str:
        """Return the label of one of Kubernetes' own kinds, which never come or go; empty if none is mapped."""
        kind = self.terms.kinds.resolve(GroupResource(resource))
        return (association.label_of(kind, self.terms.kinds) if kind else None) or ""
