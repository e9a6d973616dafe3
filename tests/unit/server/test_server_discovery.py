"""What discovery lists."""

from __future__ import annotations

import json

import pytest
from server_fakes import Ask, FakeProvider, Groups

from adapter.kube.resources import GroupResource
from adapter.rules.catalog import Catalog, ListedMetric
from adapter.server.calls import Call
from adapter.server.discovery import Discovery
from adapter.server.gateway import Services

pytestmark = pytest.mark.anyio

CUSTOM = "custom.metrics.k8s.io"
EXTERNAL = "external.metrics.k8s.io"


def listed(resource: str, metric: str, group: str = "", *, namespaced: bool = True) -> ListedMetric:
    """Write a line of the list."""
    return ListedMetric(resource=GroupResource(resource, group), namespaced=namespaced, metric=metric)


CATALOG = Catalog(
    custom=(
        listed("deployments", "http_requests", "apps"),
        listed("namespaces", "http_requests", namespaced=False),
        listed("pods", "a<b"),
    ),
    external=("queue_len", "queue_wait"),
)


def resource(name: str, kind: str, *, namespaced: bool = True) -> str:
    """Write an entry as it goes over the wire."""
    scope = "true" if namespaced else "false"
    return f'{{"name":"{name}","singularName":"","namespaced":{scope},"kind":"{kind}","verbs":["get"]}}'


CUSTOM_RESOURCES = ",".join(
    [
        resource("deployments.apps/http_requests", "MetricValueList"),
        resource("namespaces/http_requests", "MetricValueList", namespaced=False),
        resource("pods/a\\u003cb", "MetricValueList"),
    ]
)
EXTERNAL_RESOURCES = ",".join(
    [
        resource("queue_len", "ExternalMetricValueList"),
        resource("queue_wait", "ExternalMetricValueList"),
    ]
)
LISTS = [
    (f"{CUSTOM}/v1beta1", CUSTOM_RESOURCES),
    (f"{CUSTOM}/v1beta2", CUSTOM_RESOURCES),
    (f"{EXTERNAL}/v1beta1", EXTERNAL_RESOURCES),
]
PLACEHOLDERS = [
    (f"{CUSTOM}/v1beta1", resource("/custommetrics", "MetricValueList", namespaced=False)),
    (f"{CUSTOM}/v1beta2", resource("/custommetrics", "MetricValueList", namespaced=False)),
    (f"{EXTERNAL}/v1beta1", resource("externalmetrics", "ExternalMetricValueList")),
]


def resource_list(version: str, resources: str) -> str:
    """Write a list of resources as it goes over the wire."""
    head = f'"kind":"APIResourceList","apiVersion":"v1","groupVersion":"{version}"'
    return f'{{{head},"resources":[{resources}]}}\n'


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("version", "resources"), LISTS)
async def test_resources(ask: Ask, provider: FakeProvider, version: str, resources: str, slash: str) -> None:
    """A version lists all metrics of its API, byte for byte as Kubernetes would, without asking for a value."""
    provider.catalog = CATALOG

    response = await ask(f"/apis/{version}{slash}")

    assert response.text == resource_list(version, resources)
    assert provider.asked == []


@pytest.mark.parametrize(("version", "resources"), PLACEHOLDERS)
async def test_nothing_is_discovered(ask: Ask, version: str, resources: str) -> None:
    """A version without metrics lists a placeholder: older clients complain of an empty list on every call."""
    response = await ask(f"/apis/{version}")

    assert response.text == resource_list(version, resources)


async def test_catalog_is_replaced(provider: FakeProvider) -> None:
    """A catalog is written once, and a new one is seen by the next request."""
    discovery = Discovery(provider)
    call = Call(path=f"/apis/{EXTERNAL}/v1beta1")
    first = await discovery.resource_list(call, EXTERNAL, "v1beta1")
    again = await discovery.resource_list(call, EXTERNAL, "v1beta1")

    provider.catalog = CATALOG

    assert again.body is first.body
    assert b"queue_len" in (await discovery.resource_list(call, EXTERNAL, "v1beta1")).body


async def test_lists_are_indented_for_people(ask: Ask, provider: FakeProvider) -> None:
    """A list that is kept encoded is the same for people, only indented."""
    provider.catalog = CATALOG

    compact, pretty = await ask(f"/apis/{CUSTOM}/v1beta2"), await ask(f"/apis/{CUSTOM}/v1beta2?pretty=1")

    assert pretty.text == json.dumps(compact.json(), indent=2).replace("<", "\\u003c")


CUSTOM_VERSIONS = (
    '"versions":[{"groupVersion":"custom.metrics.k8s.io/v1beta2","version":"v1beta2"},{"groupVersion":'
    '"custom.metrics.k8s.io/v1beta1","version":"v1beta1"}],"preferredVersion":{"groupVersion":'
    '"custom.metrics.k8s.io/v1beta2","version":"v1beta2"}'
)
EXTERNAL_VERSIONS = (
    '"versions":[{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}],"preferredVersion":'
    '{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}'
)
ADDRESS = '"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":":6443"}]'


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("group", "versions"), [(CUSTOM, CUSTOM_VERSIONS), (EXTERNAL, EXTERNAL_VERSIONS)])
async def test_group(ask: Ask, group: str, versions: str, slash: str) -> None:
    """A group lists each version that it serves, the preferred one first."""
    response = await ask(f"/apis/{group}{slash}")

    assert response.text == f'{{"kind":"APIGroup","apiVersion":"v1","name":"{group}",{versions}}}\n'


@pytest.mark.parametrize(
    ("groups", "listed_groups"),
    [
        (Groups(), [(CUSTOM, CUSTOM_VERSIONS), (EXTERNAL, EXTERNAL_VERSIONS)]),
        (Groups(external=False), [(CUSTOM, CUSTOM_VERSIONS)]),
        (Groups(custom=False), [(EXTERNAL, EXTERNAL_VERSIONS)]),
        (Groups(custom=False, external=False), []),
    ],
)
@pytest.mark.parametrize("path", ["/apis", "/apis/"])
async def test_groups(
    ask: Ask, provider: FakeProvider, groups: Groups, listed_groups: list[tuple[str, str]], path: str
) -> None:
    """The list of groups names those that have rules."""
    provider.groups = groups

    response = await ask(path)

    entries = ",".join(f'{{"name":"{name}",{versions},{ADDRESS}}}' for name, versions in listed_groups)
    assert response.text == f'{{"kind":"APIGroupList","apiVersion":"v1","groups":[{entries}]}}\n'


async def test_no_groups(services: Services, provider: FakeProvider) -> None:
    """Without rules there is only the list of groups itself."""
    provider.groups = Groups(custom=False, external=False)

    assert list(Discovery(services.provider).paths()) == ["/apis"]
