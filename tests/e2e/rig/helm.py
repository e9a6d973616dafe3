"""The helm command as a user."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parents[3] / "deploy" / "helm" / "tidegauge"
_SECONDS = 60.0


class HelmError(RuntimeError):
    """helm ended with an error; the text is what it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """Runs helm on our chart, with a home of its own; a kubeconfig is needed for what looks at a cluster."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def __call__(self, *arguments: str | Path) -> str:
        """Return its standard output.

        Raises:
            HelmError: it ended with an error.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        environment |= {f"HELM_{part.upper()}_HOME": str(self.home / part) for part in ("cache", "config", "data")}
        argv = [str(self.program), *map(str, arguments), f"--kubeconfig={self.kubeconfig or self.home / 'none'}"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_SECONDS, env=environment)
        if done.returncode:
            raise HelmError(f"helm {' '.join(map(str, arguments))}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def template(self, *values: Path, release: str, namespace: str, flags: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the objects that files of values make, later ones over earlier ones.

        Raises:
            HelmError: they are refused.
        """
        files = [f"--values={path}" for path in values]
        text = self("template", release, CHART, f"--namespace={namespace}", *files, *flags)
        return [document for document in yaml.safe_load_all(text) if document]
