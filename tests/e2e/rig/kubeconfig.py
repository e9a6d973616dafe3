"""Kubeconfig files, with everything inside: of a client certificate, or of a token."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from rig.certificates import Pair


def certificate_user(pair: Pair) -> dict[str, str]:
    """Return a kubeconfig's user who has a client certificate."""
    return {"client-certificate-data": _text(pair.certificate), "client-key-data": _text(pair.key)}


def token_user(token: str) -> dict[str, str]:
    """Return a kubeconfig's user who has a bearer token."""
    return {"token": token}


def write_kubeconfig(path: Path, *, server: str, authority: bytes, user: dict[str, str]) -> Path:
    """Write a kubeconfig of one cluster and one user (as JSON, which is YAML), and return its path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "e2e",
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "clusters": [{"name": "e2e", "cluster": {"server": server, "certificate-authority-data": _text(authority)}}],
        "users": [{"name": "e2e", "user": user}],
    }
    path.write_text(json.dumps(document, indent=1))
    path.chmod(0o600)
    return path


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
