"""The program that a kubeconfig names to log in with (`users[].user.exec`).

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from adapter.config.kubeconfig import pem_source

log = logging.getLogger(__name__)

_VERSIONS: Final = frozenset(
    {"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1", "client.authentication.k8s.io/v1alpha1"}
)
# A token and a certificate with its chain have some kilobytes.
_MAX_OUTPUT_BYTES: Final = 1024 * 1024
# What a plugin says on its standard error goes to the log when it fails; more than this is a dump.
_MAX_WORDS_BYTES: Final = 2000
# How long the pipes of a killed plugin may stay open.
_END_SECONDS: Final = 1.0
# Where a cluster's entry carries what is meant for its plugins.
_EXTENSION: Final = "client.authentication.k8s.io/exec"


class ExecPluginError(Exception):
    """The plugin gave no credentials; the text holds none either."""

    def __init__(self, message: str, *, outcome: str = "failed") -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """How to run a plugin; `information` is what it finds in KUBERNETES_EXEC_INFO."""

    command: str
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api_version: str
    information: Mapping[str, Any]
    install_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecCredential:
    """What a plugin gave; the certificate and its key are PEM, `expires_at` is seconds since 1970."""

    token: str = field(default="", repr=False)
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    expires_at: float | None = None


def exec_plugin_of(section: Any, cluster: Mapping[str, Any], directory: Path) -> ExecPlugin:
    """Read the key `exec` of a kubeconfig's user.

    Raises:
        ValueError: it cannot be used.
    """
    if not isinstance(section, dict) or not isinstance(section.get("command"), str) or not section["command"]:
        raise ValueError("exec names no command")
    version = section.get("apiVersion")
    if version not in _VERSIONS:
        raise ValueError(f"exec has the apiVersion {version}: write client.authentication.k8s.io/v1")
    if section.get("interactiveMode") == "Always":
        raise ValueError("exec has interactiveMode: Always, and there is no terminal to ask at")
    spec: dict[str, Any] = {"interactive": False}
    if section.get("provideClusterInfo"):
        spec["cluster"] = _cluster_information(cluster, directory)
    command = section["command"]
    return ExecPlugin(
        # A path is relative to the kubeconfig, a bare name is looked for in PATH.
        command=str(directory / command) if "/" in command else command,
        arguments=tuple(str(one) for one in section.get("args") or ()),
        environment=tuple((str(one["name"]), str(one["value"])) for one in section.get("env") or ()),
        api_version=version,
        information={"kind": "ExecCredential", "apiVersion": version, "spec": spec},
        install_hint=" ".join(str(section.get("installHint") or "").split()),
    )


def _cluster_information(cluster: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        key: cluster[key]
        for key in ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
        if cluster.get(key)
    }
    authorities = pem_source(cluster, "certificate-authority", directory)
    content = authorities.read_bytes() if isinstance(authorities, Path) else authorities
    if content:
        found["certificate-authority-data"] = base64.b64encode(content).decode("ascii")
    extensions = {one["name"]: one.get("extension") for one in cluster.get("extensions") or () if "name" in one}
    if _EXTENSION in extensions:
        found["config"] = extensions[_EXTENSION]
    return found


async def run_plugin(plugin: ExecPlugin, *, environment: Mapping[str, str], timeout_seconds: float) -> ExecCredential:
    """Run a plugin and return what it gives.

    Raises:
        ExecPluginError: it gives nothing that can be used in time.
    """
    variables = {**environment, **dict(plugin.environment)}
    variables["KUBERNETES_EXEC_INFO"] = orjson.dumps(plugin.information).decode()
    try:
        process = await asyncio.create_subprocess_exec(
            plugin.command,
            *plugin.arguments,
            env=variables,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,  # so that what it starts can be ended with it
        )
    except (OSError, ValueError) as error:
        hint = f": {plugin.install_hint}" if plugin.install_hint else ""
        raise ExecPluginError(f"the exec plugin {plugin.command} cannot be started{hint}") from error
    try:
        async with asyncio.timeout(timeout_seconds):
            output, words = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            code = await process.wait()
    except BaseException as error:
        await _end(process)
        if isinstance(error, TimeoutError):
            text = f"the exec plugin {plugin.command} has not ended in time"
            raise ExecPluginError(text, outcome="timeout") from error
        raise
    if code != 0:
        log.warning("exec plugin failed: %s", words[:_MAX_WORDS_BYTES].decode(errors="replace").strip())
        raise ExecPluginError(f"the exec plugin {plugin.command} ended with code {code}")
    return _credential(output, plugin)


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    """Read to the end and keep the beginning; what is too long is found to be no credential later."""
    kept = b""
    while stream is not None and (piece := await stream.read(64 * 1024)):
        kept = kept + piece if len(kept) <= _MAX_OUTPUT_BYTES else kept
    return kept


async def _end(process: Process) -> None:
    """End the plugin and whatever it has started: what is left of it may hold the pipes open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # Read to their ends the pipes are closed; what has left the group may hold them open, and is not waited for.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await asyncio.gather(_read(process.stdout), _read(process.stderr))
    await process.wait()


def _credential(output: bytes, plugin: ExecPlugin) -> ExecCredential:
    document = _document(output, plugin)
    status = document.get("status")
    if document.get("kind") != "ExecCredential" or not isinstance(status, dict):
        raise ExecPluginError(f"the exec plugin {plugin.command} gave no ExecCredential with a status")
    if document.get("apiVersion") != plugin.api_version:
        raise ExecPluginError(f"the exec plugin {plugin.command} answered in another version than {plugin.api_version}")
    token, certificate, key = (
        _text(status, name, plugin) for name in ("token", "clientCertificateData", "clientKeyData")
    )
    if bool(certificate) != bool(key):
        raise ExecPluginError(f"the exec plugin {plugin.command} gave a certificate without its key, or a key alone")
    if not (token or certificate):
        raise ExecPluginError(f"the exec plugin {plugin.command} gave neither a token nor a certificate")
    return ExecCredential(
        token=token,
        certificate=certificate.encode() or None,
        key=key.encode() or None,
        expires_at=_time(_text(status, "expirationTimestamp", plugin), plugin),
    )


def _document(output: bytes, plugin: ExecPlugin) -> dict[str, Any]:
    try:
        document = orjson.loads(output)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ExecPluginError(f"the exec plugin {plugin.command} gave no JSON object")
    return document


def _text(status: Mapping[str, Any], key: str, plugin: ExecPlugin) -> str:
    value = status.get(key)
    if value is not None and not isinstance(value, str):
        raise ExecPluginError(f"the exec plugin {plugin.command} gave a {key} that is no text")
    return value or ""


def _time(text: str, plugin: ExecPlugin) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ExecPluginError(f"the exec plugin {plugin.command} gave an expirationTimestamp that is no time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
