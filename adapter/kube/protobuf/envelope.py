"""The envelope around a protobuf document: which document it is (k8s.io/apimachinery, serializer/protobuf)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapter.kube.protobuf.messages import MESSAGES
from adapter.kube.protobuf.wire import delimited, embedded, message, text

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"

_MAGIC: Final = b"k8s\x00"
# runtime.Unknown: the type goes first; contentEncoding and contentType are written, and empty.
_TYPE_META: Final = embedded(1, "type", (text(1, "apiVersion"), text(2, "kind")))
_RAW_TAG: Final = b"\x12"
_NO_ENCODING_NO_TYPE: Final = b"\x1a\x00\x22\x00"
_UNVERSIONED: Final = "v1"


def has_protobuf(document: Mapping[str, Any]) -> bool:
    """Tell whether there is a protobuf form of a document; there is none of a Table."""
    return _key(document) in MESSAGES


def encode_protobuf(document: Mapping[str, Any]) -> bytes:
    """Return a document as protobuf in Kubernetes' envelope, byte for byte what Go's API servers write.

    Raises:
        KeyError: there is no protobuf form of it; `has_protobuf` tells.
    """
    version, kind = _key(document)
    raw = message(document, MESSAGES[version, kind])
    head = _TYPE_META({"type": {"apiVersion": version, "kind": kind}})
    return _MAGIC + head + _RAW_TAG + delimited(raw) + _NO_ENCODING_NO_TYPE


def _key(document: Mapping[str, Any]) -> tuple[str, str]:
    return document.get("apiVersion") or _UNVERSIONED, document["kind"]
