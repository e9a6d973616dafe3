"""Asks the adapter's Prometheus, without any login: over kube-apiserver if it is in the cluster, else from here."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from adapter.clients.kubernetes.proxies import proxy_of
from adapter.clients.looks import NoLookError, look_at_url
from adapter.clients.options import PrometheusOptions
from adapter.config.urls import redacted_url, url_fault
from adapter.doctor.facts import Place, Reply, Seen, SeenPrometheus, Unknown
from adapter.doctor.reader import Reader, path_in, reply_of
from adapter.doctor.reading import service_of

_QUERY: Final = ("/api/v1/query", {"query": "vector(1)"})
_LABELS: Final[tuple[str, dict[str, str]]] = ("/api/v1/labels", {})
_PORTS: Final = {"http": 80, "https": 443}
_DIRECT: Final = "asked from here"
_SHORT: Final = 2  # labels of `service.namespace`


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks one Prometheus."""

    reader: Reader
    options: PrometheusOptions
    namespace: str  # the adapter's, where a name without one is looked up

    @property
    def has_credentials(self) -> bool:
        """Say whether the adapter logs in there."""
        one = self.options
        given = (one.token_file, one.auth_incluster, one.auth_config, one.client_cert_file, one.headers)
        return any(given) or "@" in urlsplit(one.url).netloc

    async def look(self, instead: str) -> Seen[SeenPrometheus]:
        """Return what it says; `instead` is an address that leads there from here, empty if there is none."""
        url = instead or self.options.url
        if url_fault(url):
            return Unknown(reason=f"{redacted_url(url)}: {url_fault(url)}")
        host = (urlsplit(url).hostname or "").rstrip(".")
        place, certain = service_named(host, self.namespace)
        if instead:
            return await self._direct(url, sure=True)
        if _is_loopback(host):
            return Unknown(reason=f"{redacted_url(url)} is inside the pod; ask it from here with --prometheus-url")
        if place is None:
            return await self._direct(url, sure=False)
        return await self._of_service(url, place, certain=certain)

    async def _of_service(self, url: str, place: Place, *, certain: bool) -> Seen[SeenPrometheus]:
        document = await self.reader.get(path_in(place.namespace, "services", place.name))
        if isinstance(document, Unknown):
            return document
        if document is None:
            missing = Unknown(reason="there is no such Service")
            gone = self._seen(url, "", missing, missing, service=place, exists=False)
            return gone if certain else await self._direct(url, sure=False)
        service = service_of(document)
        if service.type == "ExternalName":
            return Unknown(reason=f"the Service {place} stands for {service.external_name}, outside of the cluster")
        return await self._over_cluster(urlsplit(url), place)

    async def _over_cluster(self, parts: SplitResult, place: Place) -> SeenPrometheus:
        port = parts.port or _PORTS[parts.scheme]
        name = f"https:{place.name}:{port}" if parts.scheme == "https" else f"{place.name}:{port}"
        root = path_in(place.namespace, "services", name, "proxy") + quote(parts.path.rstrip("/"), safe="/%")
        query = await self.reader.reply(f"{root}{_QUERY[0]}", parameters=_QUERY[1])
        labels = await self.reader.reply(f"{root}{_LABELS[0]}", parameters=_LABELS[1])
        return self._seen(parts.geturl(), "asked over kube-apiserver", query, labels, service=place)

    async def _direct(self, url: str, *, sure: bool) -> SeenPrometheus:
        query, labels = await self._ask(url, *_QUERY), await self._ask(url, *_LABELS)
        return self._seen(url, _DIRECT, query, labels, sure=sure)

    async def _ask(self, url: str, path: str, parameters: Mapping[str, str]) -> Seen[Reply]:
        left = self.reader.left_seconds
        if left <= 0:
            return Unknown(reason="the time was over; give more with --timeout")
        parts = urlsplit(url)
        bare = parts._replace(
            netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/") + path, query=urlencode(parameters)
        )
        # An authority of its own, which only the pod knows, is no fault; no secret goes this way.
        verify = not self.options.ca_file
        proxy = proxy_of(url, os.environ)
        try:
            return reply_of(*await look_at_url(bare.geturl(), proxy=proxy, verify=verify, timeout_seconds=left))
        except NoLookError as error:
            return Reply(status=0, text=str(error))

    def _seen(
        self,
        url: str,
        way: str,
        query: Seen[Reply],
        labels: Seen[Reply],
        *,
        service: Place | None = None,
        exists: bool = True,
        sure: bool = True,
    ) -> SeenPrometheus:
        return SeenPrometheus(
            url=redacted_url(url),
            way=way,
            query=query,
            labels=labels,
            service=service,
            service_exists=exists,
            has_credentials=self.has_credentials,
            sure=sure,
        )


def service_named(host: str, namespace: str) -> tuple[Place | None, bool]:
    """Return the Service that a host name stands for in a pod, and whether it can be nothing else."""
    labels = host.split(".")
    if _is_address(host) or not all(labels):
        return None, False
    if "svc" in labels[_SHORT:]:  # service.namespace.svc, with a pod's name before it and the cluster's domain behind
        end = labels.index("svc", _SHORT)
        return Place(namespace=labels[end - 1], name=labels[end - 2]), True
    if len(labels) == 1:
        return Place(namespace=namespace, name=labels[0]), True
    return (Place(namespace=labels[1], name=labels[0]), False) if len(labels) == _SHORT else (None, False)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
