"""From options to a client of a cluster: what cannot be used ends the start, with what to do."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2

from adapter.clients.files import FileFaultError
from adapter.clients.kubernetes.access import read_access
from adapter.clients.kubernetes.client import ClusterClient
from adapter.clients.kubernetes.credentials import ClusterCredentials
from adapter.clients.kubernetes.exec_login import ExecLogin
from adapter.clients.kubernetes.exec_plugin import ExecCredential, ExecPlugin, run_plugin
from adapter.clients.kubernetes.options import ClusterObserver, ClusterOptions
from adapter.config.problems import ConfigError, Location, Problem, Severity


def open_cluster(
    options: ClusterOptions,
    *,
    observer: ClusterObserver,
    clock: Callable[[], float],
    wall: Callable[[], float] = time.time,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> ClusterClient:
    """Return a client of the cluster that the options name; nothing is asked yet.

    `clock` is monotonic, `wall` is seconds since 1970.

    Raises:
        ConfigError: a file cannot be read or used; the text says what to do, and quotes no secret.
    """
    file = options.kubeconfig or options.service_account_directory
    try:
        access = read_access(options)
        login = _login(access.plugin, options, observer, monotonic=clock, wall=wall) if access.plugin else None
        credentials = ClusterCredentials(access, login)
    except OSError as error:
        raise _refusal_to_start((error.strerror or str(error)).lower(), str(error.filename or file)) from error
    except FileFaultError as error:
        raise _refusal_to_start(error.fault, str(error.path or file)) from error
    except ValueError as error:
        raise _refusal_to_start(str(error), file) from error
    return ClusterClient(
        options, access=access, credentials=credentials, observer=observer, clock=clock, transport=transport
    )


def _login(
    plugin: ExecPlugin,
    options: ClusterOptions,
    observer: ClusterObserver,
    *,
    monotonic: Callable[[], float],
    wall: Callable[[], float],
) -> ExecLogin:
    async def run() -> ExecCredential:
        return await run_plugin(plugin, environment=options.environment, timeout_seconds=options.exec_timeout_seconds)

    def report(outcome: str, seconds: float) -> None:
        observer.exec_plugin_done(outcome=outcome, seconds=seconds)

    return ExecLogin(run, monotonic=monotonic, wall=wall, report=report)


def _refusal_to_start(message: str, file: str) -> ConfigError:
    problem = Problem(
        code="serve/cluster",
        severity=Severity.ERROR,
        message=f"kube-apiserver cannot be asked: {message}",
        location=Location(file=file),
        hint="run in a pod whose service account's token is mounted, or give --lister-kubeconfig",
    )
    return ConfigError((problem,))
