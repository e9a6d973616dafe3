"""From the flags to a serving certificate that is kept: in files, so that the server loads it like any other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.config.settings import Settings
from adapter.server.managed.keeper import CertificateObserver, Keeper, ManagedOptions
from adapter.server.managed.material import Material
from adapter.server.managed.store import ApiServices, Cluster, SecretStore

_API_SERVICES: Final = (
    "v1beta1.custom.metrics.k8s.io",
    "v1beta2.custom.metrics.k8s.io",
    "v1beta1.external.metrics.k8s.io",
    "v1beta1.metrics.k8s.io",
    "v1.metrics.k8s.io",
)
_OWNER_ONLY: Final = 0o600


@dataclass(slots=True, kw_only=True)
class Shown:
    """The files that the server loads its certificate from, and who is told that they changed."""

    certificate: Path
    key: Path
    listeners: list[Callable[[], object]] = field(default_factory=list)

    def show(self, material: Material) -> None:
        """Write the certificate and its key, each file whole, and let them be loaded."""
        self.certificate.parent.mkdir(parents=True, exist_ok=True)
        _write(self.key, material.key)
        _write(self.certificate, material.certificate)
        for listener in self.listeners:
            listener()


@asynccontextmanager
async def open_managed(
    settings: Settings, cluster: Cluster | None, *, observer: CertificateObserver, wall_clock: Callable[[], float]
) -> AsyncIterator[Shown | None]:
    """Return the files once a certificate is in them, and look after it until the block ends.

    Without the flag it is None. Raises ConfigError if there is no cluster to keep it in.
    """
    if not settings.self_managed_certificate:
        yield None
        return
    if cluster is None:
        raise _refused("there is no cluster to keep the certificate in", "give --lister-kubeconfig, or run in a pod")
    namespace, _, service = settings.self_managed_certificate.partition("/")
    secret = settings.self_managed_certificate_secret or f"{service}-serving-cert"
    folder = Path(settings.cert_dir)
    shown = Shown(certificate=folder / "managed.crt", key=folder / "managed.key")
    keeper = Keeper(
        secrets=SecretStore(cluster, namespace=namespace, name=secret),
        services=ApiServices(cluster, namespace=namespace, service=service, names=_API_SERVICES),
        options=ManagedOptions(
            namespace=namespace,
            service=service,
            secret=secret,
            life=timedelta(seconds=settings.self_managed_certificate_life_seconds),
        ),
        show=shown.show,
        clock=wall_clock,
        observer=observer,
    )
    keeping = asyncio.create_task(keeper.run(), name="serving-certificate")
    try:
        await _first(keeper, keeping)
        yield shown
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def _first(keeper: Keeper, keeping: asyncio.Task[None]) -> None:
    """Wait for the first certificate; a fault that ends the keeper ends the start."""
    ready = asyncio.create_task(keeper.ready.wait())
    await asyncio.wait([ready, keeping], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if keeping.done():
        error = keeping.exception()
        raise _refused(f"the certificate cannot be shown: {error}", "see --cert-dir") from error


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


def _refused(message: str, hint: str) -> ConfigError:
    return ConfigError(
        (
            Problem(
                code="serve/tls",
                severity=Severity.ERROR,
                message=message,
                location=Location(file="--self-managed-certificate"),
                hint=hint,
            ),
        )
    )
