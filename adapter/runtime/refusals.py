"""What a request is told when there is no answer: the classic text first, our reason behind it."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.errors import Forbidden, MetricNotFound
from adapter.rules.catalog import Entry
from adapter.rules.query import external_resource
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Compat


@dataclass(frozen=True, slots=True)
class Refusals:
    """Makes the errors of requests; prometheus-adapter gives no reason."""

    compat: Compat

    def not_found(self, request: CustomMetricRequest, reason: str, name: str = "") -> MetricNotFound:
        """Return the 404 of a metric of objects."""
        resource = str(request.resource)
        return MetricNotFound(metric=request.metric, resource=resource, name=name, reason=self._shown(reason))

    def external_not_found(self, request: ExternalMetricRequest, reason: str) -> MetricNotFound:
        """Return the 404 of an external metric."""
        resource = external_resource(request.namespace)
        return MetricNotFound(metric=request.metric, resource=resource, reason=self._shown(reason))

    def _shown(self, reason: str) -> str:
        return "" if self.compat is Compat.STRICT else reason


def check_namespace(entry: Entry, namespace: str) -> None:
    """Raise Forbidden where a rule's `allowNamespaces` leaves a namespace out."""
    if not entry.rule.policies.allows(namespace):
        raise Forbidden(f'rule {entry.rule.id} does not serve the namespace "{namespace}"')
