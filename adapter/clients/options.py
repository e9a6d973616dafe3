"""How to reach one Prometheus, as flags and files say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Verb = Literal["GET", "POST"]

SERVICE_ACCOUNT_DIRECTORY: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusOptions:
    """One Prometheus; what may hold a secret is left out of `repr()`.

    Where several things say the same, the first of these counts. To log in: an Authorization header, user and password
    of the address, the token file, the kubeconfig, the pod's service account. To trust: the CA file, the kubeconfig,
    the service account's CA, the system's authorities. As a client certificate: the files, the kubeconfig.
    """

    name: str = "default"  # what metrics and messages call it
    url: str = field(default="https://localhost", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    verb: Verb = "GET"
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    token_file: str = ""
    auth_incluster: bool = False
    auth_config: str = ""  # the path of a kubeconfig
    service_account_directory: str = SERVICE_ACCOUNT_DIRECTORY
    timeout_seconds: float = 5.0
    # /series of 400,000 series took Prometheus 2.42 five seconds on two cores, and no request waits for a relist.
    series_timeout_seconds: float = 30.0
    max_connections: int = 20
    # 64 MiB are some 300,000 samples of an instant query, far above what a metric list can hold.
    max_answer_bytes: int = 64 * 1024 * 1024
