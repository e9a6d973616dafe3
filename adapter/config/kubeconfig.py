"""How the current context of a kubeconfig says to trust a server and to log in."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

# Keys that would change how the server is reached or who the caller is; to ignore one would be worse than to refuse it.
_UNSUPPORTED: Final = {
    "cluster": ("proxy-url",),
    "user": ("exec", "auth-provider", "as", "as-uid", "as-groups", "as-user-extra"),
}
_INSTEAD: Final = {
    "exec": "give a token, a tokenFile or a client certificate instead",
    "auth-provider": "give a token, a tokenFile or a client certificate instead",
    "proxy-url": "set HTTPS_PROXY instead",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """What the current context says; certificates and keys are a file's path or the PEM text itself.

    A token file goes before the token, as in client-go. The server's address is not read: the caller has its own.
    """

    authorities: Path | bytes | None = None
    verify: bool = True
    server_name: str = ""  # the name the server's certificate must have, when it is not the host's
    certificate: Path | bytes | None = None
    key: Path | bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def read_kubeconfig(text: str, *, directory: Path) -> Kubeconfig:
    """Read a kubeconfig; relative paths in it start from `directory`, the one that the file lies in.

    Raises:
        ValueError: the text cannot be used, or asks for something that is not supported; it quotes no secret.
    """
    document = kubeconfig_document(text)
    context = _named(document, "context", _text(document, "current-context"))
    cluster = _named(document, "cluster", _text(context, "cluster"))
    user = _named(document, "user", _text(context, "user")) if _text(context, "user") else {}
    for kind, section in (("cluster", cluster), ("user", user)):
        _refuse_unsupported(kind, section)
    token_file = _text(user, "tokenFile")
    return Kubeconfig(
        authorities=pem_source(cluster, "certificate-authority", directory),
        verify=cluster.get("insecure-skip-tls-verify") is not True,
        server_name=_text(cluster, "tls-server-name"),
        certificate=pem_source(user, "client-certificate", directory),
        key=pem_source(user, "client-key", directory),
        token=_text(user, "token"),
        token_file=directory / token_file if token_file else None,
        username=_text(user, "username"),
        password=_text(user, "password"),
    )


def kubeconfig_document(text: str) -> Mapping[str, Any]:
    """Return what a kubeconfig holds.

    Raises:
        ValueError: the text is no YAML mapping; it quotes nothing of it.
    """
    return _mapping(_yaml(text), "the file")


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        # Only the place: the parser's own words would quote the lines around it, and so a token.
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ValueError(f"line {line} is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ValueError("it is not YAML") from None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no mapping")  # noqa: TRY004 - a fault of the file, not of the caller
    return value


def _text(section: Mapping[str, Any], key: str) -> str:
    value = section.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value or ""


def _named(document: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    """Return a section of the lists `contexts`, `clusters` and `users` by its name."""
    if not name:
        raise ValueError("current-context is not set" if kind == "context" else f"the current context names no {kind}")
    entries = document.get(f"{kind}s")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            return _mapping(entry.get(kind), f'{kind} "{name}"')
    raise ValueError(f'{kind} "{name}" does not exist')


def _refuse_unsupported(kind: str, section: Mapping[str, Any]) -> None:
    for key in _UNSUPPORTED[kind]:
        if section.get(key):
            instead = _INSTEAD.get(key, "remove it")
            raise ValueError(f"the {kind}'s key {key} is not supported: {instead}")


def pem_source(section: Mapping[str, Any], key: str, directory: Path) -> Path | bytes | None:
    """Return inline data, which client-go prefers, or else the path; raise ValueError if it is neither."""
    data, path = _text(section, f"{key}-data"), _text(section, key)
    if not data:
        return directory / path if path else None
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except binascii.Error:
        raise ValueError(f"{key}-data is not base64") from None
