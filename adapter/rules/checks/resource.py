"""What can be wrong with the rules of metrics.k8s.io."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.config.load import LoadedFile
from adapter.config.problems import Problem
from adapter.config.schema import ResourceRule
from adapter.kube.resources import GroupResource, Kinds
from adapter.promql.template import parse_template
from adapter.rules.association import Association, label_template
from adapter.rules.checks.rendering import QueryView, resource_views
from adapter.rules.checks.subject import Place

_NEEDED = {"namespaces": "pods", "pods": "pods", "nodes": "nodes"}  # resource -> what is lost without its label


def resource_rules(file: LoadedFile) -> Iterator[tuple[Place, ResourceRule]]:
    """Yield the rules for cpu and memory of a file."""
    written = file.model.resource_rules
    for name in ("cpu", "memory"):
        rule = getattr(written, name) if written else None
        if rule is not None:
            yield Place(source=file.source, path=("resourceRules", name), rule_id=f"resourceRules.{name}"), rule


def views_of_resource_rules(file: LoadedFile, kinds: Kinds) -> Iterator[QueryView]:
    """Yield the queries of a file's resource rules."""
    for place, rule in resource_rules(file):
        association = _association(rule)
        if association is not None:
            yield from resource_views(place, rule, association, kinds)


def labels_missing(file: LoadedFile, kinds: Kinds) -> Iterator[Problem]:
    """Find resource rules that do not say which labels name namespaces, pods and nodes."""
    for place, rule in resource_rules(file):
        association = _association(rule)
        wanted = {"nodes": rule.node_query, "pods": rule.container_query, "namespaces": rule.container_query}
        for resource, lost in _NEEDED.items():
            kind = kinds.resolve(GroupResource(resource))
            if association and kind and wanted[resource] and not association.label_of(kind, kinds):
                yield place.problem(
                    "resource-rule/label-missing",
                    f"no label is mapped to {resource}, so the list of {lost} stays empty",
                    "resources",
                    hint=f"add {kind.singular}: {{resource: {kind.singular}}} to overrides",
                )


def _association(rule: ResourceRule) -> Association | None:
    """Return what a rule maps, None if its template is wrong, which was said when it was compiled."""
    written = rule.resources
    if written is None:
        return Association()
    overrides = tuple((label, GroupResource(one.resource, one.group)) for label, one in written.overrides.items())
    try:
        template = label_template(parse_template(written.template)) if written.template else None
    except ValueError:
        return None
    return Association(overrides=overrides, template=template)
