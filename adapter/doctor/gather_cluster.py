"""What is asked of any cluster: APIServices, HPAs, kinds, discovery."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from adapter.clients.kubernetes import ClusterClient
from adapter.doctor.facts import API_SERVICES, ApiService, Autoscaler, Reply, Seen, Unknown
from adapter.doctor.reader import Reader
from adapter.doctor.reading import api_service_of, autoscaler_of
from adapter.errors import UpstreamError
from adapter.kube.resources import Kinds
from adapter.runtime.clock import Clocks
from adapter.runtime.cluster_kinds import ClusterKinds
from adapter.runtime.watch.ports import Timing, WatchObserver

_REGISTRATION: Final = "/apis/apiregistration.k8s.io/v1/apiservices"


class _Silent:
    """Counts nothing of what is reported."""

    def __getattr__(self, _name: str) -> Any:
        return lambda **_reported: None


async def kinds_of(cluster: ClusterClient, clocks: Clocks, *, timeout_seconds: float) -> tuple[Seen[Kinds], str]:
    """Return the kinds that the cluster has, and which groups nobody can tell at the moment."""
    observer: WatchObserver = _Silent()
    kinds = ClusterKinds(cluster=cluster, observer=observer, timing=Timing(clock=clocks.monotonic))
    try:
        async with asyncio.timeout(timeout_seconds):
            return await kinds.synced(), kinds.problem
    except TimeoutError:
        return Unknown(reason="API discovery was not answered in time"), ""
    except UpstreamError as error:
        return Unknown(reason=str(error)), ""
    finally:
        await kinds.close()


async def api_services_there(reader: Reader) -> Seen[Mapping[str, ApiService]]:
    """Return the APIServices of the metrics APIs that there are, by their names."""
    documents = await asyncio.gather(*(reader.get(f"{_REGISTRATION}/{name}") for name in API_SERVICES))
    if fault := next((one for one in documents if isinstance(one, Unknown)), None):
        return fault
    found = {name: one for name, one in zip(API_SERVICES, documents, strict=True) if isinstance(one, Mapping)}
    return {
        name: replace(api_service_of(one), name=name, group=name.partition(".")[2], version=name.partition(".")[0])
        for name, one in found.items()
    }


async def autoscalers_there(reader: Reader) -> Seen[tuple[Autoscaler, ...]]:
    """Return all HPAs."""
    documents = await reader.items("/apis/autoscaling/v2/horizontalpodautoscalers")
    return documents if isinstance(documents, Unknown) else tuple(map(autoscaler_of, documents))


async def discovery_of(reader: Reader, there: Mapping[str, ApiService]) -> dict[str, Reply]:
    """Return how kube-apiserver answers discovery of each APIService."""
    names = list(there)
    replies = await asyncio.gather(*(reader.reply(f"/apis/{there[one].group}/{there[one].version}") for one in names))
    return {
        name: Reply(status=0, text=one.reason) if isinstance(one, Unknown) else one
        for name, one in zip(names, replies, strict=True)
    }
