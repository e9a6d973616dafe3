"""Stands in for `tidegauge` where a page's block serves: it starts the real command on a free port, and ends it once it is ready.

Called as `serve_briefly.py COMMAND FLAGS...`; exits as the command does.
"""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
from collections.abc import Sequence

import httpx
from rig.processes import free_port, wait_until

_READY_SECONDS = 30.0


def main(argv: Sequence[str]) -> int:
    """Serve until ready; return the command's exit code."""
    port = free_port()
    # Its own certificate is self-signed, and who asks is on the same machine.
    context = ssl._create_unverified_context()  # noqa: S323 - see above
    with (
        subprocess.Popen([*argv, f"--secure-port={port}"]) as process,
        httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context, trust_env=False) as client,
    ):

        def is_over() -> bool:
            return process.poll() is not None or client.get("/readyz").is_success

        wait_until("the adapter to be ready", is_over, timeout_seconds=_READY_SECONDS)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
