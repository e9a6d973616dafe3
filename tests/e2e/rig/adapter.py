"""The adapter as a process, with a serving certificate that the aggregator can verify."""

from __future__ import annotations

import os
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from rig.processes import Child, free_port, wait_until

from e2e.rig.pki import Authority, PairFiles
from e2e.rig.registration import HOST

COMMAND: Final = Path(sys.executable).with_name("tidegauge")
_READY_SECONDS = 30.0


class Adapter:
    """Starts `tidegauge` on a port that stays the same over restarts; use it as a context manager.

    Attributes:
        authority: signed the serving certificate; its `pem` is the caBundle.
        rules: the rules file; `write_rules` replaces it.
        url: for requests that do not go through kube-apiserver.

    With `makes_certificate` no serving certificate is handed to it; flags say what it makes itself.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kubeconfig: Path,
        prometheus_url: str,
        rules: str,
        flags: Sequence[str] = (),
        makes_certificate: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kubeconfig = kubeconfig
        self._prometheus_url = prometheus_url
        self._flags = tuple(flags)
        self._makes_certificate = makes_certificate
        self._child: Child | None = None
        self._port = free_port()
        self.authority = Authority("e2e-serving-ca")
        self.serving = PairFiles(certificate=folder / "serving.crt", key=folder / "serving.key")
        self.serving.write(self.authority.server([HOST]))
        self.rules = folder / "rules.yaml"
        self.rules.write_text(rules)
        self.log = folder / "adapter.log"
        self.url = f"https://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """The port it serves on."""
        return self._port

    @property
    def _serving_flags(self) -> tuple[str, ...]:
        if self._makes_certificate:
            return ()
        return (f"--tls-cert-file={self.serving.certificate}", f"--tls-private-key-file={self.serving.key}")

    def launch(self) -> Child:
        """Start it, and do not wait."""
        argv: list[str | Path] = [
            COMMAND,
            f"--config={self.rules}",
            f"--prometheus-url={self._prometheus_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--lister-kubeconfig={self._kubeconfig}",
            f"--authentication-kubeconfig={self._kubeconfig}",
            f"--authorization-kubeconfig={self._kubeconfig}",
            *self._serving_flags,
            *self._flags,
        ]
        child = self._child = Child("adapter", argv, log=self.log)
        return child

    def start(self) -> None:
        """Start it, and return when it is ready.

        Raises:
            ChildEndedError: it ended.
            TimeoutError: it was not ready in time.
        """
        child = self.launch()
        with self.client() as client:
            wait_until(
                "the adapter",
                lambda: child.check_alive() and client.get("/readyz").is_success,
                timeout_seconds=_READY_SECONDS,
            )

    def stop(self) -> int | None:
        """End it, and return its exit code; None if it did not run."""
        child, self._child = self._child, None
        return child.stop() if child else None

    def restart(self) -> None:
        """End it and start it again, on the same port."""
        self.stop()
        self.start()

    def check_alive(self) -> bool:
        """Return True while it runs.

        Raises:
            ChildEndedError: it has ended.
        """
        return self._child is not None and self._child.check_alive()

    def reload(self) -> None:
        """Send SIGHUP."""
        if self._child:
            os.kill(self._child.pid, signal.SIGHUP)

    def write_rules(self, text: str) -> None:
        """Replace the rules file whole."""
        new = self.rules.with_suffix(".new")
        new.write_text(text)
        new.replace(self.rules)

    def client(self, *, pair: PairFiles | None = None, headers: dict[str, str] | None = None) -> httpx.Client:
        """Return a client that goes past the aggregator, and trusts whatever certificate is served."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if pair:
            context.load_cert_chain(pair.certificate, pair.key)
        return httpx.Client(base_url=self.url, verify=context, headers=headers, timeout=20, trust_env=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
