"""Keeps the serving certificate: makes it, renews it, shows it, and tells kube-apiserver whom to trust."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from adapter.errors import KubernetesConflict, UpstreamError
from adapter.server.managed.material import Material, Wish, expires_at, next_step, renewal_due
from adapter.server.managed.store import ApiServices, ForeignSecretError, SecretStore

_log = logging.getLogger(__name__)

# APIServices are often made seconds after the adapter: looked at often in the first minutes, seldom afterwards.
_EARLY_SECONDS: Final = 600.0
_EARLY_PAUSE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 60.0
# At least so many passes in a serving certificate's life, so that each change has long been seen by all replicas.
_PASSES_IN_A_LIFE: Final = 60
_RETRY_SECONDS: Final = 1.0
_LONGEST_RETRY_SECONDS: Final = 30.0
# Each step does one thing, and a rotation needs three; replicas that write together need some more.
_STEPS_AT_MOST: Final = 10


class CertificateObserver(Protocol):
    """What the keeper reports."""

    def certificate_shown(self, *, expires_at_seconds: float) -> None:
        """Note until when, in seconds since 1970, the certificate that is shown now is valid."""

    def certificate_pass(self, *, ok: bool) -> None:
        """Note that the Secret and the APIServices were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedOptions:
    """Whose certificate it is, and how long it lives."""

    namespace: str
    service: str
    secret: str
    life: timedelta

    @property
    def names(self) -> tuple[str, ...]:
        """Return the DNS names of the Service; kube-apiserver asks for the first one."""
        host = f"{self.service}.{self.namespace}.svc"
        return (host, f"{host}.cluster.local", f"{self.service}.{self.namespace}", self.service, "localhost")


class Keeper:
    """Looks at the Secret and the APIServices again and again, and does what is due."""

    def __init__(
        self,
        *,
        secrets: SecretStore,
        services: ApiServices,
        options: ManagedOptions,
        show: Callable[[Material], None],
        clock: Callable[[], float],
        observer: CertificateObserver,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`clock` gives seconds since 1970; `show` puts a certificate into the server, from the next handshake on."""
        self._secrets = secrets
        self._services = services
        self._options = options
        self._show = show
        self._clock = clock
        self._observer = observer
        self._sleep = sleep
        self._shown: bytes = b""
        self._told = ""
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Go on until cancelled; what fails is told once and tried again."""
        begun = self._clock()
        failures = 0
        while True:
            failures = 0 if await self.look() else failures + 1
            pause = self._pause(self._clock() - begun, failures)
            # Spread, so that replicas do not write together.
            await self._sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    def _pause(self, age_seconds: float, failures: int) -> float:
        if failures:
            return min(_RETRY_SECONDS * 2.0 ** min(failures - 1, 10), _LONGEST_RETRY_SECONDS)
        usual = _EARLY_PAUSE_SECONDS if age_seconds < _EARLY_SECONDS else _PAUSE_SECONDS
        return min(usual, self._options.life.total_seconds() / _PASSES_IN_A_LIFE)

    async def look(self) -> bool:
        """Do once what is due; return whether all of it could be done."""
        try:
            await self._pass()
        except (UpstreamError, ForeignSecretError) as error:
            if str(error) != self._told:
                _log.warning("serving certificate not looked after: %s", error)
            self._told = str(error)
            self._observer.certificate_pass(ok=False)
            return False
        self._told = ""
        self._observer.certificate_pass(ok=True)
        return True

    async def _pass(self) -> None:
        material = await self._reconciled()
        self._present(material)
        for name in await self._services.trust(material.bundle):
            _log.info("the APIService %s trusts the serving certificate's authority now", name)

    async def _reconciled(self) -> Material:
        """Do step after step until nothing is due; return what is stored then."""
        for _ in range(_STEPS_AT_MOST):
            stored = await self._secrets.read()
            found = stored.material if stored else None
            step = next_step(found, self._wish())
            if not step.changed:
                return step.material
            if step.after_trust and found is not None:
                await self._services.trust(found.bundle)
            try:
                await self._secrets.write(step.material, over=stored)
            except KubernetesConflict:
                continue  # another replica was faster: what it wrote is read now
            _log.info("serving certificate changed: %s", step.reason)
        raise KubernetesConflict("other replicas keep changing the serving certificate")

    def _wish(self) -> Wish:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return Wish(names=self._options.names, life=self._options.life, now=now)

    def _present(self, material: Material) -> None:
        if material.certificate == self._shown:
            return
        self._show(material)
        self._shown = material.certificate
        due = renewal_due(material.certificate)
        _log.info("serving certificate shown, renewed from %s on", due.isoformat(timespec="seconds"))
        self._observer.certificate_shown(expires_at_seconds=expires_at(material.certificate).timestamp())
        self.ready.set()
