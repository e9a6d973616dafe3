"""Keeps whom to trust up to date: from files that flags name, and from kube-apiserver's ConfigMap, watched."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from adapter.clients.files import WatchedFile
from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.errors import ClusterGone, KubernetesForbidden, KubernetesUnavailable, UpstreamError
from adapter.server.auth.certificates import Bundle, read_bundle
from adapter.server.auth.ports import AuthObserver, WatchedCluster
from adapter.server.auth.trust import (
    CLIENT_CA,
    FRONT_PROXY_CA,
    FrontProxy,
    HeaderNames,
    Trust,
    client_bundle,
    front_proxy,
)

_log = logging.getLogger(__name__)

_NAME: Final = "extension-apiserver-authentication"
_CONFIG_MAPS: Final = "/api/v1/namespaces/kube-system/configmaps"
_FIELD: Final = {"fieldSelector": f"metadata.name={_NAME}"}
_JSON: Final = "application/json"
_CALL_SECONDS: Final = 10.0
# A watch ends after five to ten minutes and the list is asked again: that is the resync, and a connection that died
# without a word is noticed half a minute later.
_WATCH_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
# k8s.io/apiserver looks at its CA files as often.
_FILES_SECONDS: Final = 60.0
# How often the start asks before it gives up, and how long it waits in between: a cluster that is just starting writes
# the ConfigMap within seconds.
_START_PAUSES_SECONDS: Final = (0.5, 1.0, 1.5, 2.0)

_Half = TypeVar("_Half")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustOptions:
    """What the flags say of authorities; a file that is given takes the place of its half of the ConfigMap."""

    client_ca_file: str = ""
    front_proxy_ca_file: str = ""
    allowed_names: tuple[str, ...] = ()
    headers: HeaderNames = field(
        default_factory=lambda: HeaderNames(
            username=("x-remote-user",), group=("x-remote-group",), extra_prefix=("x-remote-extra-",)
        )
    )
    skip_lookup: bool = False
    tolerate_lookup_failure: bool = False

    @property
    def needs_lookup(self) -> bool:
        """Tell whether the ConfigMap has anything to say."""
        return not self.skip_lookup and not (self.client_ca_file and self.front_proxy_ca_file)


class TrustKeeper:
    """Holds whom to trust now; what cannot be read leaves the last good state."""

    def __init__(
        self,
        options: TrustOptions,
        cluster: WatchedCluster | None,
        *,
        observer: AuthObserver,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Without a cluster only the files count; `chance` gives numbers from 0 to 1."""
        self._options = options
        self._cluster = cluster if options.needs_lookup else None
        self._observer = observer
        self._sleep = sleep
        self._chance = chance
        self._trust = Trust()
        self._told: dict[str, str] = {}
        self._listeners: list[Callable[[Trust], None]] = []
        self._files = {
            name: WatchedFile(Path(path))
            for name, path in ((CLIENT_CA, options.client_ca_file), (FRONT_PROXY_CA, options.front_proxy_ca_file))
            if path
        }

    def current(self) -> Trust:
        """Return whom to trust now."""
        return self._trust

    def on_change(self, listener: Callable[[Trust], None]) -> None:
        """Tell somebody whom to trust now, and each time that changes."""
        self._listeners.append(listener)
        listener(self._trust)

    async def ready(self) -> None:
        """Return once it is known whom to trust; before that no request may be taken.

        Raises:
            ConfigError: a file cannot be used, or the ConfigMap cannot be had and that is not tolerated.
        """
        for name in self._files:
            try:
                self._read_file(name)
            except (OSError, ValueError) as error:
                raise _refused(f"--{name}", f"cannot be used: {error}", hint="give certificates in PEM") from error
        if self._cluster is None:
            return
        try:
            await self._first_lookup(self._cluster)
        except (UpstreamError, ValueError) as error:
            self._failed("configmap", str(error))
            if not self._options.tolerate_lookup_failure:
                raise _refused("--authentication-kubeconfig", _words(error), hint=_hint(error)) from error

    async def run(self) -> None:
        """Follow the files and the ConfigMap until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._files:
                group.create_task(self._follow_files())
            if self._cluster is not None:
                group.create_task(self._follow(self._cluster))

    # ---- the files

    async def _follow_files(self) -> None:
        while True:
            await self._sleep(_FILES_SECONDS)
            for name in self._files:
                try:
                    self._read_file(name)
                except (OSError, ValueError) as error:
                    self._failed("file", f"--{name}: {error}")
                else:
                    self._read("file")

    def _read_file(self, name: str) -> None:
        bundle = read_bundle(self._files[name].read())
        if name == CLIENT_CA:
            self._replace(replace(self._trust, client=bundle))
            return
        options = self._options
        proxy = FrontProxy(bundle=bundle, allowed_names=options.allowed_names, headers=options.headers)
        self._replace(replace(self._trust, front_proxy=proxy))

    # ---- the ConfigMap

    async def _first_lookup(self, cluster: WatchedCluster) -> None:
        """Ask for the ConfigMap, again if that may help, and until it names the front proxy."""
        for pause in _START_PAUSES_SECONDS:
            try:
                self._apply(await cluster.request("GET", f"{_CONFIG_MAPS}/{_NAME}", timeout_seconds=_CALL_SECONDS))
                if self._trust.front_proxy is not None:
                    return
            except KubernetesUnavailable as error:
                self._failed("configmap", str(error))
            await self._sleep(pause)
        self._apply(await cluster.request("GET", f"{_CONFIG_MAPS}/{_NAME}", timeout_seconds=_CALL_SECONDS))
        if self._trust.front_proxy is None:
            _log.warning(
                "the ConfigMap kube-system/%s names no front proxy: callers through kube-apiserver are anonymous", _NAME
            )

    async def _follow(self, cluster: WatchedCluster) -> None:
        failures = 0
        while True:
            try:
                await self._list_and_watch(cluster)
                failures = 0
            except ClusterGone:
                failures = 1
            except (UpstreamError, ValueError) as error:
                failures += 1
                self._failed("configmap", str(error))
            pause = min(_PAUSE_SECONDS * 2.0 ** min(failures, 10), _LONGEST_PAUSE_SECONDS)
            await self._sleep(pause * (0.5 + self._chance()))

    async def _list_and_watch(self, cluster: WatchedCluster) -> None:
        """Read the ConfigMap and its changes until the watch ends."""
        listed = await cluster.request("GET", _CONFIG_MAPS, parameters=_FIELD, timeout_seconds=_CALL_SECONDS)
        items = listed.get("items")
        for item in items if isinstance(items, list) else ():
            self._apply(item)
        watch_seconds = round(_WATCH_SECONDS * (1.0 + self._chance()))
        parameters = {
            **_FIELD,
            "watch": "true",
            "resourceVersion": _version(listed),
            "timeoutSeconds": str(watch_seconds),
        }
        idle_seconds = watch_seconds + _SILENCE_SECONDS
        async with cluster.watch(
            _CONFIG_MAPS, parameters=parameters, accept=_JSON, idle_seconds=idle_seconds
        ) as events:
            async for event in events:
                # A ConfigMap that was deleted is written again by kube-apiserver; until then the last one counts.
                if event.type in {"ADDED", "MODIFIED"}:
                    self._apply(event.object)

    def _apply(self, document: object) -> None:
        """Take over what the ConfigMap says, each half by itself; a half that it leaves out, or spoils, stays."""
        found = document if isinstance(document, dict) else {}
        metadata, data = found.get("metadata"), found.get("data") or {}
        if not isinstance(data, dict) or not isinstance(metadata, dict) or metadata.get("name") != _NAME:
            raise KubernetesUnavailable("the ConfigMap cannot be read", kind="bad_answer")
        faults: list[str] = []
        client = self._half(CLIENT_CA, data, client_bundle, self._trust.client, faults)
        proxy = self._half(FRONT_PROXY_CA, data, front_proxy, self._trust.front_proxy, faults)
        self._replace(Trust(client=client, front_proxy=proxy))
        if faults:
            self._failed("configmap", "; ".join(faults))
        else:
            self._read("configmap")

    def _half(
        self,
        name: str,
        data: Mapping[str, object],
        read: Callable[[Mapping[str, object]], _Half | None],
        known: _Half | None,
        faults: list[str],
    ) -> _Half | None:
        if name in self._files:
            return known
        try:
            return read(data) or known
        except ValueError as error:
            faults.append(f"{name} of the ConfigMap kube-system/{_NAME}: {error}")
            return known

    # ---- what changed, and what is told

    def _replace(self, trust: Trust) -> None:
        if _same(trust, self._trust):
            return
        self._trust = trust
        _log.info("the authorities of callers changed: %s", _told_as(trust))
        for listener in self._listeners:
            listener(trust)

    def _failed(self, source: str, fault: str) -> None:
        self._observer.trust_read(source=source, outcome="failed")
        if self._told.get(source) != fault:
            _log.warning("whom to trust could not be read, what was known stays: %s", fault)
        self._told[source] = fault

    def _read(self, source: str) -> None:
        self._observer.trust_read(source=source, outcome="ok")
        self._told.pop(source, None)


def _version(listed: Mapping[str, Any]) -> str:
    metadata = listed.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) else ""


def _same(one: Trust, other: Trust) -> bool:
    return _facts(one) == _facts(other)


def _facts(trust: Trust) -> tuple[object, ...]:
    proxy = trust.front_proxy
    return (
        trust.client and trust.client.digest,
        proxy and (proxy.bundle.digest, proxy.allowed_names, proxy.headers),
    )


def _told_as(trust: Trust) -> str:
    def count(bundle: Bundle | None) -> int:
        return sum(map(len, bundle.authorities.values())) if bundle else 0

    proxy = trust.front_proxy.bundle if trust.front_proxy else None
    return f"clients={count(trust.client)} front_proxy={count(proxy)}"


def _words(error: Exception) -> str:
    return f"cannot look up the ConfigMap kube-system/{_NAME}: {error}"


def _hint(error: Exception) -> str:
    if isinstance(error, KubernetesForbidden):
        return "bind the Role extension-apiserver-authentication-reader of kube-system to the service account"
    return "see --authentication-tolerate-lookup-failure, or give --requestheader-client-ca-file and --client-ca-file"


def _refused(flag: str, message: str, *, hint: str) -> ConfigError:
    return ConfigError(
        (
            Problem(
                code="serve/callers",
                severity=Severity.ERROR,
                message=message,
                location=Location(file=flag),
                hint=hint,
            ),
        )
    )
