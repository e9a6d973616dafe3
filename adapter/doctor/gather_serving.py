"""What the adapter serves with: its files, its certificate, its rules, its Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapter.clients.looks import NoLookError, served_certificates
from adapter.config.settings import Settings, parse_flags
from adapter.doctor.documents import text
from adapter.doctor.facts import Endpoint, Place, Seen, SeenPrometheus, Served, Unknown, Workload
from adapter.doctor.gather_adapter import NOBODY, Installed
from adapter.doctor.gather_prometheus import Asker
from adapter.doctor.gather_rules import Files, ReadRules, paths_wanted, read_files, rules_of_files, rules_of_paths
from adapter.doctor.locate import Wanted
from adapter.doctor.reader import Reader, path_in
from adapter.doctor.reading import decoded
from adapter.kube.resources import Kinds, kubernetes_kinds

# A handshake with somebody in the cluster takes milliseconds; where there is no way there, nobody waits longer.
_HANDSHAKE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be looked at: what is empty is found; `address` is where the adapter itself can be reached."""

    wanted: Wanted
    config: tuple[str, ...] = ()  # rules files on this machine, instead of those of the Deployment
    address: tuple[str, int] | None = None
    prometheus_url: str = ""
    in_cluster: bool = False  # we run in a pod, so addresses of pods are what they seem to be
    environment: Mapping[str, str]


async def files_of_adapter(reader: Reader, installed: Installed) -> Files:
    """Return the files that the adapter's flags name, from the volumes of its container."""
    workload, settings = installed.found.workload, installed.settings
    if isinstance(settings, Unknown) or not isinstance(workload, Workload) or installed.container is None:
        return {}
    paths = list(paths_wanted(settings))
    return await read_files(reader, workload.place.namespace, installed.container, workload.template, paths)


def rules_in_force(installed: Installed, files: Files, request: Request, kinds: Seen[Kinds]) -> Seen[ReadRules]:
    """Return the rules that the adapter is given, or those of the files that the person names."""
    known = kubernetes_kinds() if isinstance(kinds, Unknown) else kinds
    if request.config:
        settings = installed.settings
        if isinstance(settings, Unknown):
            settings = parse_flags(["--config=-"], {}).settings
        return rules_of_paths(settings, request.config, known, dict(request.environment))
    if isinstance(installed.settings, Unknown):
        return installed.settings
    if installed.container is None:
        return NOBODY
    return rules_of_files(installed.settings, files, installed.container, known)


async def certificate_given(
    reader: Reader, installed: Installed, files: Files, request: Request
) -> Seen[Served | None]:
    """Return the certificate that the adapter serves with; None if it makes one that nobody else can see."""
    target, settings = installed.target, installed.settings
    if isinstance(target, Unknown):
        return NOBODY
    if request.address is not None:
        return await _handshake(*request.address, target)
    if isinstance(settings, Unknown):
        return settings
    if settings.tls_cert_file:
        return _of_file(files, settings.tls_cert_file)
    return await _of_secret(reader, settings) if settings.self_managed_certificate else None


def _of_file(files: Files, path: str) -> Seen[Served]:
    content = files.get(path)
    if isinstance(content, bytes):
        return Served(pem=content, where=path)
    return content or Unknown(reason=f"no volume gives {path}")


async def _of_secret(reader: Reader, settings: Settings) -> Seen[Served]:
    namespace, _, service = settings.self_managed_certificate.partition("/")
    name = settings.self_managed_certificate_secret or f"{service}-serving-cert"
    secret = await reader.get(path_in(namespace, "secrets", name))
    if isinstance(secret, Unknown):
        return secret
    if secret is None:
        return Unknown(reason=f"there is no Secret {namespace}/{name} yet")
    return Served(pem=decoded(text(secret, "data", "tls.crt")), where=f"Secret {namespace}/{name}")


async def certificate_shown(target: Seen[Place], endpoints: Seen[tuple[Endpoint, ...]]) -> Seen[Served | None]:
    """Return the certificate that the first ready endpoint shows; None if there is none to ask."""
    if isinstance(target, Unknown) or isinstance(endpoints, Unknown):
        return None
    first = next((one for one in endpoints if one.ready and one.ports), None)
    if first is None:
        return None
    return await _handshake(first.address, next(iter(first.ports.values())), target)


async def _handshake(host: str, port: int, target: Place) -> Seen[Served]:
    name = f"{target.name}.{target.namespace}.svc"
    try:
        pem = await served_certificates(host, port, server_name=name, timeout_seconds=_HANDSHAKE_SECONDS)
    except NoLookError as error:
        return Unknown(reason=f"{host}:{port}: {error}")
    return Served(pem=pem, where=f"shown at {host}:{port}", whole=pem.count(b"BEGIN CERTIFICATE") > 1)


async def prometheus_seen(
    reader: Reader, installed: Installed, rules: Seen[ReadRules], request: Request
) -> Seen[SeenPrometheus]:
    """Return what Prometheus says."""
    if isinstance(installed.target, Unknown):
        return NOBODY
    if isinstance(rules, Unknown):
        return rules
    asker = Asker(reader=reader, options=rules.options, namespace=installed.target.namespace)
    return await asker.look(request.prometheus_url)
