"""The Secret that replicas share, and the APIServices that name the authorities."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from adapter.errors import KubernetesNotFound
from adapter.server.managed.material import Authority, Material

# One call to kube-apiserver; the next pass tries again.
_TIMEOUT_SECONDS: Final = 5.0
# The keys of a Secret of type kubernetes.io/tls, and cert-manager's for the authorities.
_CERTIFICATE, _KEY, _BUNDLE, _BUNDLE_KEYS = "tls.crt", "tls.key", "ca.crt", "ca.key"
_LABEL: Final = "app.kubernetes.io/managed-by"
_OURS: Final = "tidegauge"
_PEM_KEY: Final = re.compile(rb"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----\n?", re.DOTALL)
_MERGE: Final = "application/merge-patch+json"


class Cluster(Protocol):
    """What is asked of kube-apiserver."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float,
    ) -> dict[str, Any]:
        """Return the document of an answer; raises the Kubernetes leaves of UpstreamError."""


class ForeignSecretError(Exception):
    """There is a Secret of this name that somebody else keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the Secret holds; no material if it is empty, or cannot be read."""

    material: Material | None
    document: Mapping[str, Any]


class SecretStore:
    """Reads and writes one Secret, so that of two replicas that write at once only one succeeds."""

    def __init__(self, cluster: Cluster, *, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._collection = f"/api/v1/namespaces/{namespace}/secrets"
        self._path = f"{self._collection}/{name}"
        self._namespace = namespace
        self._name = name

    async def read(self) -> Stored | None:
        """Return what is stored, None if there is no such Secret.

        Raises:
            ForeignSecretError: the Secret does not carry our label.
            UpstreamError: kube-apiserver cannot be asked.
        """
        try:
            found = await self._cluster.request("GET", self._path, timeout_seconds=_TIMEOUT_SECONDS)
        except KubernetesNotFound:
            return None
        metadata = found.get("metadata") or {}
        if (metadata.get("labels") or {}).get(_LABEL) != _OURS:
            raise ForeignSecretError(
                f"the Secret {self._namespace}/{self._name} does not carry the label {_LABEL}={_OURS}: "
                "label it, delete it, or name another one with --self-managed-certificate-secret"
            )
        return Stored(material=_material(found.get("data") or {}), document=found)

    async def write(self, material: Material, *, over: Stored | None) -> None:
        """Store the material in place of what was read.

        Raises:
            KubernetesConflict: another replica was faster; read again.
            UpstreamError: kube-apiserver cannot be asked.
        """
        data = {key: base64.b64encode(value).decode("ascii") for key, value in _data(material).items()}
        if over is None:
            await self._cluster.request(
                "POST", self._collection, body=self._document(data), timeout_seconds=_TIMEOUT_SECONDS
            )
            return
        # The whole document with its resourceVersion: kube-apiserver refuses it if it was changed since.
        changed = {**over.document, "data": {**(over.document.get("data") or {}), **data}}
        await self._cluster.request("PUT", self._path, body=changed, timeout_seconds=_TIMEOUT_SECONDS)

    def _document(self, data: Mapping[str, str]) -> dict[str, object]:
        metadata = {"name": self._name, "namespace": self._namespace, "labels": {_LABEL: _OURS}}
        return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}


class ApiServices:
    """Keeps the authorities of the APIServices that lead to our Service."""

    def __init__(self, cluster: Cluster, *, namespace: str, service: str, names: Sequence[str]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._service = service
        self._names = names

    async def trust(self, bundle: bytes) -> tuple[str, ...]:
        """Let each APIService of ours trust the bundle; return the names of those that had to be changed.

        An APIService that is not there, or that leads to another Service, is left alone. Raises UpstreamError.
        """
        return tuple([name for name in self._names if await self._trust(name, bundle)])

    async def _trust(self, name: str, bundle: bytes) -> bool:
        path = f"/apis/apiregistration.k8s.io/v1/apiservices/{name}"
        try:
            found = await self._cluster.request("GET", path, timeout_seconds=_TIMEOUT_SECONDS)
        except KubernetesNotFound:
            return False
        spec = found.get("spec") or {}
        service = spec.get("service") or {}
        if (service.get("namespace"), service.get("name")) != (self._namespace, self._service):
            return False
        wanted = base64.b64encode(bundle).decode("ascii")
        if spec.get("caBundle") == wanted and not spec.get("insecureSkipTLSVerify"):
            return False
        # null takes a field away; the two exclude each other.
        patch = {"spec": {"caBundle": wanted, "insecureSkipTLSVerify": None}}
        await self._cluster.request("PATCH", path, body=patch, content_type=_MERGE, timeout_seconds=_TIMEOUT_SECONDS)
        return True


def _data(material: Material) -> Mapping[str, bytes]:
    return {
        _CERTIFICATE: material.certificate,
        _KEY: material.key,
        _BUNDLE: material.bundle,
        _BUNDLE_KEYS: b"".join(one.key for one in material.authorities),
    }


def _material(data: Mapping[str, str]) -> Material | None:
    """Read the data of a Secret; what is missing or cannot be read is None: it is made anew."""
    try:
        plain = {key: base64.b64decode(data[key], validate=True) for key in (_CERTIFICATE, _KEY, _BUNDLE, _BUNDLE_KEYS)}
        certificates = x509.load_pem_x509_certificates(plain[_BUNDLE])
        keys = _PEM_KEY.findall(plain[_BUNDLE_KEYS])
        authorities = tuple(
            Authority(certificate=one.public_bytes(serialization.Encoding.PEM), key=key)
            for one, key in zip(certificates, keys, strict=True)
        )
    except (KeyError, ValueError, binascii.Error):
        return None
    return Material(certificate=plain[_CERTIFICATE], key=plain[_KEY], authorities=authorities)
