"""The kubectl command as a user."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 60.0


class KubectlError(RuntimeError):
    """kubectl ended with an error; the text is what it wrote."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs kubectl with a kubeconfig and a discovery cache of its own."""

    program: Path
    kubeconfig: Path
    cache: Path

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it and return how it ended; `text` is its standard input."""
        argv = [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        return subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=_SECONDS, input=text, env=environment
        )

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        """Return its standard output.

        Raises:
            KubectlError: it ended with an error.
        """
        done = self.run(*arguments, text=text)
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def raw(self, path: str) -> Any:
        """Return the document at a path.

        Raises:
            KubectlError: the answer is an error.
        """
        return json.loads(self("get", "--raw", path))

    def apply(self, *documents: dict[str, Any]) -> None:
        """Create or change objects.

        Raises:
            KubectlError: one is refused.
        """
        if documents:
            self(
                "apply",
                "--server-side",
                "-f",
                "-",
                text=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
            )
