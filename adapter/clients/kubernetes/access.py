"""Where kube-apiserver is and how to log in there: by a kubeconfig, or as the pod's service account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from adapter.clients.kubernetes.exec_plugin import ExecPlugin, exec_plugin_of
from adapter.clients.kubernetes.options import ClusterOptions
from adapter.clients.kubernetes.proxies import proxy_of
from adapter.config.kubeconfig import kubeconfig_document, pem_source

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import SingleConfig
    from lightkube.config.models import User

# What may stand in a header's name as it is (RFC 9110 section 5.6.2), less the percent sign that escapes the rest.
_NAME_CHARACTERS: Final = "!#$&'*+-.^_`|~"
_IMPERSONATION_KEYS: Final = ("as-uid", "as-groups", "as-user-extra")
_PROXY_SCHEMES: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a kubeconfig's current context says, or the pod's service account; a Path is a file that may change."""

    server: str
    server_name: str = ""  # the name the server's certificate must have, when it is not the host's
    proxy: str | None = field(default=None, repr=False)
    authorities: Path | bytes | None = None
    verify: bool = True
    certificate: Path | bytes | None = None
    key: Path | bytes | None = field(default=None, repr=False)
    token: Path | bytes | None = field(default=None, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    plugin: ExecPlugin | None = None
    impersonation: tuple[tuple[str, str], ...] = ()  # headers


def read_access(options: ClusterOptions) -> Access:
    """Return how to reach the cluster that the options name.

    Raises:
        OSError: a file cannot be read.
        ValueError: it cannot be used; the text quotes no secret.
    """
    return _of_kubeconfig(options) if options.kubeconfig else _of_service_account(options)


def _of_service_account(options: ClusterOptions) -> Access:
    host, port = (options.environment.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
    if not (host and port):
        raise ValueError("this is no pod of a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    account = Path(options.service_account_directory)
    return Access(
        server=server,
        proxy=proxy_of(server, options.environment),
        authorities=account / "ca.crt",
        token=account / "token",
    )


def _of_kubeconfig(options: ClusterOptions) -> Access:
    path = Path(options.kubeconfig).expanduser()
    try:
        document = kubeconfig_document(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    found = _chosen(document, path, options.context)
    cluster = _section(document, "cluster", found.context.cluster)
    user = _section(document, "user", found.context.user or "")
    _refuse_contradictions(found, cluster, user)
    server = _server(found.cluster.server)
    token = (path.parent / found.user.token_file) if found.user and found.user.token_file else _token(found.user)
    has_basic = found.user is not None and found.user.username and not token
    return Access(
        server=server,
        server_name=_text(cluster, "tls-server-name"),
        proxy=_proxy(_text(cluster, "proxy-url")) or proxy_of(server, options.environment),
        authorities=pem_source(cluster, "certificate-authority", path.parent),
        verify=not found.cluster.insecure,
        certificate=pem_source(user, "client-certificate", path.parent),
        key=pem_source(user, "client-key", path.parent),
        token=token,
        basic=(found.user.username or "", found.user.password or "") if found.user and has_basic else None,
        # A token goes before the plugin, as in client-go.
        plugin=exec_plugin_of(user["exec"], cluster, path.parent) if user.get("exec") and not token else None,
        impersonation=_impersonation(user),
    )


def _chosen(document: Mapping[str, Any], path: Path, context: str) -> SingleConfig:
    """Let lightkube read the file and find a context, the current one if none is named."""
    # It brings its whole client along, a tenth of a second that only those pay who have a kubeconfig.
    from lightkube.config.kubeconfig import KubeConfig  # noqa: PLC0415 - see above
    from lightkube.core.exceptions import ConfigError as LightkubeError  # noqa: PLC0415 - see above
    from msgspec import ValidationError  # noqa: PLC0415 - see above

    try:
        found = KubeConfig.from_dict(dict(document), fname=path).get(context or None)
    except (LightkubeError, ValidationError) as error:
        # Their texts name keys and types, and no values.
        raise ValueError(str(error)) from error
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing: a key, or what a context names") from error
    except (TypeError, AttributeError):
        raise ValueError("it is not a kubeconfig: contexts, clusters and users are lists of named entries") from None
    if found is None:  # only with a default, which is not given
        raise ValueError("current-context is not set")
    return found


def _section(document: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    """Return an entry as it was written, for the keys that lightkube does not read."""
    for entry in document.get(f"{kind}s") or ():
        if entry["name"] == name:
            return entry[kind] or {}
    return {}


def _refuse_contradictions(found: SingleConfig, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """Raise for what client-go refuses too: to guess would be to be somebody else, or to trust somebody else."""
    if found.cluster.insecure and any(cluster.get(f"certificate-authority{end}") for end in ("", "-data")):
        raise ValueError("a cluster has either insecure-skip-tls-verify or a certificate-authority")
    if user.get("auth-provider"):
        raise ValueError("the user's key auth-provider is not supported: Kubernetes has replaced it by exec")
    if any(user.get(key) for key in _IMPERSONATION_KEYS) and not user.get("as"):
        raise ValueError("as-uid, as-groups and as-user-extra need `as`, the user to act as")
    has = {part: any(user.get(f"client-{part}{end}") for end in ("", "-data")) for part in ("certificate", "key")}
    if has["certificate"] != has["key"]:
        raise ValueError("a client certificate and its key are given together or not at all")


def _server(text: str) -> str:
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the cluster's server is not an http or https address")
    if parts.username is not None:
        raise ValueError("the cluster's server holds a user: write username and password of the user instead")
    return parts.geturl().rstrip("/")


def _proxy(text: str) -> str | None:
    if text and urlsplit(text).scheme not in _PROXY_SCHEMES:
        raise ValueError("the cluster's proxy-url is not an http or https address")
    return text or None


def _token(user: User | None) -> bytes | None:
    return user.token.encode() if user is not None and user.token else None


def _text(section: Mapping[str, Any], key: str) -> str:
    value = section.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value or ""


def _impersonation(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the headers that ask to act as somebody else.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """
    headers = [("Impersonate-User", _text(user, "as")), ("Impersonate-Uid", _text(user, "as-uid"))]
    headers += [("Impersonate-Group", group) for group in _texts(user.get("as-groups"), "as-groups")]
    extra = user.get("as-user-extra") or {}
    if not isinstance(extra, dict):
        raise ValueError("as-user-extra is no mapping")  # noqa: TRY004 - a fault of the file, not of the caller
    for key, values in extra.items():
        name = f"Impersonate-Extra-{quote(str(key), safe=_NAME_CHARACTERS)}"
        headers += [(name, value) for value in _texts(values, "as-user-extra")]
    return tuple((name, value) for name, value in headers if value)


def _texts(value: Any, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{key} is no list of texts")
    return value
