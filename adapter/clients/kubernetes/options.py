"""How to reach kube-apiserver, and who is told what was asked of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from adapter.clients.options import SERVICE_ACCOUNT_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """One kube-apiserver; without a kubeconfig it is that of the cluster whose pod this is."""

    kubeconfig: str = ""  # a path
    context: str = ""  # of the kubeconfig; its current one if this is empty
    service_account_directory: str = SERVICE_ACCOUNT_DIRECTORY
    # Says where the cluster is, which proxy leads there, and what exec plugins find in theirs.
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    # How long a watch may take to begin; every other call brings its own time limit.
    timeout_seconds: float = 10.0
    # An exec plugin may have to ask a cloud's metadata service, which is slow at a node's start.
    exec_timeout_seconds: float = 20.0
    # A page of 500 objects' metadata has a megabyte or two; discovery of a cluster full of definitions about as much.
    max_answer_bytes: int = 64 * 1024 * 1024
    # etcd takes no object beyond 1.5 MiB, so no event is longer than a few.
    max_event_bytes: int = 8 * 1024 * 1024
    # Each watch holds a connection, so this is far above what requests alone would need.
    max_connections: int = 200


class ClusterObserver(Protocol):
    """What the client reports."""

    def kubernetes_request_done(self, *, verb: str, resource: str, code: str, seconds: float) -> None:
        """Note a request, for a watch its beginning.

        `verb` is Kubernetes' (get, list, watch, create, ...), `resource` plural with its group (`deployments.apps`), or
        the path of what is no resource (`/apis`); `code` is the HTTP status, or timeout, connection, bad_answer,
        cancelled, error.
        """

    def exec_plugin_done(self, *, outcome: str, seconds: float) -> None:
        """Note a run of the kubeconfig's exec plugin: ok, failed or timeout."""
