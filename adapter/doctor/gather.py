"""Looks at a cluster: the thin shell that turns answers into facts, and decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from adapter.clients.kubernetes import ClusterClient
from adapter.doctor.documents import text, texts
from adapter.doctor.facts import HPA_ROLE, Facts, Unknown
from adapter.doctor.gather_adapter import (
    account_exists,
    endpoints_behind,
    find_installed,
    owners_of,
    pods_of,
    policies_around,
)
from adapter.doctor.gather_cluster import api_services_there, autoscalers_there, discovery_of, kinds_of
from adapter.doctor.gather_serving import (
    Request,
    certificate_given,
    certificate_shown,
    files_of_adapter,
    prometheus_seen,
    rules_in_force,
)
from adapter.doctor.locate import Locator
from adapter.doctor.questions import every_question
from adapter.doctor.reader import Reader
from adapter.runtime.clock import Clocks

_TRUST: Final = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_UNAUTHORIZED: Final = 401


class NotReachableError(Exception):
    """The cluster cannot be looked at at all; the text says why."""


async def gather(cluster: ClusterClient, request: Request, *, clocks: Clocks, timeout_seconds: float) -> Facts:
    """Return everything that can be seen.

    Raises:
        NotReachableError: kube-apiserver gives no answer, or does not know us.
    """
    reader = Reader(cluster, clock=clocks.monotonic, timeout_seconds=timeout_seconds)
    await _greet(cluster, reader)
    (kinds, kinds_problem), services, trust, binding, scalers, inside = await asyncio.gather(
        kinds_of(cluster, clocks, timeout_seconds=timeout_seconds / 2),
        api_services_there(reader),
        reader.get(_TRUST),
        reader.get(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{HPA_ROLE}"),
        autoscalers_there(reader),
        reader.get("/api/v1/namespaces/default/services/kubernetes"),
    )
    there = {} if isinstance(services, Unknown) else services
    locator = Locator(reader)
    installed = await find_installed(locator, request.wanted, there)
    files = await files_of_adapter(reader, installed)
    rules = rules_in_force(installed, files, request, kinds)
    around = asyncio.gather(
        endpoints_behind(reader, installed.target),
        pods_of(reader, installed),
        policies_around(reader, installed),
        account_exists(reader, installed),
    )
    apis, owners, served, prometheus = await asyncio.gather(
        discovery_of(reader, there),
        owners_of(locator, installed.target, there),
        certificate_given(reader, installed, files, request),
        prometheus_seen(reader, installed, rules, request),
    )
    endpoints, pods, policies, account = await around
    if request.in_cluster and served is None:
        served = await certificate_shown(installed.target, endpoints)
    facts = Facts(
        now=datetime.fromtimestamp(clocks.wall(), UTC),
        server=cluster.server,
        target=installed.target,
        api_services=services,
        owners=owners,
        apis=apis,
        service=installed.found.service,
        endpoints=endpoints,
        workload=installed.found.workload,
        pods=pods,
        account=account,
        settings=installed.settings,
        flag_problems=installed.flag_problems,
        served=served,
        front_proxy=trust if isinstance(trust, Unknown) or trust is None else texts(trust, "data"),
        files=files,
        hpa_binding=binding,
        kinds=kinds,
        kinds_problem=kinds_problem,
        rules=rules if isinstance(rules, Unknown) else rules.seen,
        prometheus=prometheus,
        policies=policies,
        cluster_address=text(inside, "spec", "clusterIP") if isinstance(inside, Mapping) else "",
        autoscalers=scalers,
    )
    asked = every_question(facts)
    answers = await asyncio.gather(*map(reader.may, asked))
    return replace(facts, rights=dict(zip(asked, answers, strict=True)))


async def _greet(cluster: ClusterClient, reader: Reader) -> None:
    hello = await reader.reply("/version")
    if isinstance(hello, Unknown) or not hello.status:
        raise NotReachableError(hello.reason if isinstance(hello, Unknown) else hello.text)
    if hello.status == _UNAUTHORIZED:
        raise NotReachableError(f"kube-apiserver at {cluster.server} does not accept your credentials (status 401)")
