"""Which resources rules need, by which names, and which metrics they are known to give."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules_rig import KINDS, rulebook_from

from adapter.cli.rbac import API_SERVICES
from adapter.kube.resources import GroupResource, parse_group_resource
from adapter.rules.permissions import Certainty, Known, full_resource, metric_names, object_needs
from adapter.server.managed import opening

QUERY = 'metricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"'


@pytest.mark.parametrize(
    ("written", "resource", "certainty"),
    [
        ("pod", "pods", Certainty.KNOWN),
        ("Deployment", "deployments.apps", Certainty.KNOWN),
        ("ingresses.networking", "ingresses.networking.k8s.io", Certainty.KNOWN),
        ("rollout.argoproj.io", "rollouts.argoproj.io", Certainty.GUESSED),
        ("rollouts.argoproj.io", "rollouts.argoproj.io", Certainty.GUESSED),
        ("gateway.example.org", "gateways.example.org", Certainty.GUESSED),
        ("policy.example.org", "policies.example.org", Certainty.GUESSED),
        ("queueclass.example.org", "queueclasses.example.org", Certainty.GUESSED),
        ("mesh.example.org", "meshes.example.org", Certainty.GUESSED),
        ("po", "pos", Certainty.NAMELESS),
    ],
)
def test_what_a_resource_is_called(written: str, resource: str, certainty: Certainty) -> None:
    """A role needs the plural and the whole group; both are guessed where the kind is not known."""
    assert full_resource(parse_group_resource(written), KINDS) == (parse_group_resource(resource), certainty)


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("seriesQuery: queue_depth", ("queue_depth",)),
        ("seriesQuery: 'queue_depth{a!=\"\"}', name: {matches: '^(.*)_depth$', as: '${1}_length'}", ("queue_length",)),
        ("seriesQuery: '{__name__=~\"^queue_depth$\"}'", ("queue_depth",)),
        ("seriesQuery: '{__name__=~\"^queue_.*\"}'", None),
        ("seriesQuery: '{__name__=~\"^queue_.*\"}', name: {as: depth}", ("depth",)),
        ("seriesQuery: queue_depth, name: {matches: '^other_(.*)$'}", ()),
        ("seriesQuery: queue_depth, seriesFilters: [{isNot: depth}]", ()),
    ],
)
def test_the_names_that_a_rule_gives(rule: str, names: tuple[str, ...] | None, tmp_path: Path) -> None:
    """Names that depend on the series are not guessed."""
    [compiled] = rulebook_from(f"externalRules:\n- {{{rule}, {QUERY}}}\n", tmp_path).rules

    assert metric_names(compiled) == names


def test_a_metric_written_from_the_answer_s_end_needs_its_object_alone(tmp_path: Path) -> None:
    """The namespace of a `metrics` entry is in the query, and no metric of namespaces comes of it."""
    rulebook = rulebook_from(
        """
metrics:
- metric: latency
  object: {resource: deployments.apps, label: deployment}
  namespaceLabel: namespace
  query: max(latency_seconds{<<.LabelMatchers>>}) by (<<.GroupBy>>)
""",
        tmp_path,
    )

    assert [one.resource for one in object_needs(rulebook, Known(kinds=KINDS))] == [
        GroupResource("deployments", "apps")
    ]


def test_the_api_services_of_the_role_are_those_that_are_looked_at() -> None:
    """A self-managed certificate asks for each of these names, so the role needs every one."""
    assert set(API_SERVICES) == set(opening._API_SERVICES)
