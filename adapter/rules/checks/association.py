"""What can be wrong with the labels that a rule maps to Kubernetes objects."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.config.problems import Problem
from adapter.kube.resources import Kind
from adapter.rules.checks.rendering import namespace_label_of
from adapter.rules.checks.subject import Subject
from adapter.rules.rule import Api


def no_objects(subject: Subject) -> Iterator[Problem]:
    """Find custom rules that map no label at all, so that their series belong to no object."""
    rule = subject.rule
    if rule.api is Api.CUSTOM and rule.fixed is None and rule.association.is_empty:
        yield subject.place.problem(
            "association/none",
            "the rule maps no label to Kubernetes objects, so it gives no metric",
            "resources",
            hint="add resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}",
        )


def no_namespace(subject: Subject) -> Iterator[Problem]:
    """Find rules for objects that live in namespaces, without a label that says in which."""
    rule = subject.rule
    if rule.association.is_empty or namespace_label_of(subject):
        return
    kind = next((one for one in _kinds(subject) if one.namespaced), None)
    if rule.api is Api.CUSTOM and kind is not None:
        yield subject.place.problem(
            "association/no-namespace",
            f"no label is mapped to namespaces, so every request for {kind.group_resource} is answered 404",
            *(("object",) if rule.fixed else ("resources",)),
            hint="add namespaceLabel: namespace" if rule.fixed else "add namespace: {resource: namespace} to overrides",
        )
    elif rule.api is Api.EXTERNAL and rule.namespaced:
        yield subject.place.problem(
            "association/no-namespace",
            "no label is mapped to namespaces, so the caller's namespace cannot narrow the query",
            "resources",
            hint="add namespace: {resource: namespace} to overrides, or namespaced: false",
        )


def several_labels(subject: Subject) -> Iterator[Problem]:
    """Find two labels that are mapped to one kind, of which only one can be put into a query."""
    first: dict[Kind, str] = {}
    for label, resource in subject.rule.association.overrides:
        kind = subject.kinds.resolve(resource)
        other = first.setdefault(kind, label) if kind else label
        if kind and other != label:
            yield subject.place.problem_at_key(
                "association/several-labels",
                f'"{other}" and "{label}" are both mapped to {kind.group_resource}; queries use "{other}"',
                "resources",
                "overrides",
                label,
                hint="keep one of them, and write a rule of its own for series that only have the other",
            )


def external_default(subject: Subject) -> Iterator[Problem]:
    """Find external rules that leave the namespace's label to us, where prometheus-adapter fails."""
    rule = subject.rule
    if rule.api is Api.EXTERNAL and rule.fixed is None and rule.association.is_empty and rule.namespaced:
        yield subject.place.problem(
            "association/external-default",
            'the rule has no resources, so the label "namespace" is taken for the namespace',
            hint="write resources: {overrides: {namespace: {resource: namespace}}}, or {namespaced: false}",
        )


def _kinds(subject: Subject) -> Iterator[Kind]:
    for _, resource in subject.rule.association.overrides:
        kind = subject.kinds.resolve(resource)
        if kind is not None and kind.plural != "namespaces":
            yield kind
