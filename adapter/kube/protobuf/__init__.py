"""Documents as Kubernetes' protobuf: the envelope, and the messages of every document that is served."""

from adapter.kube.protobuf.envelope import MEDIA_TYPE, encode_protobuf, has_protobuf

__all__ = ["MEDIA_TYPE", "encode_protobuf", "has_protobuf"]
