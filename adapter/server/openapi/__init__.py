"""What the APIs look like, as OpenAPI v2 and v3: for `kubectl explain`, and for kube-apiserver, which merges it."""

from adapter.server.openapi.answers import OpenApi

__all__ = ["OpenApi"]
