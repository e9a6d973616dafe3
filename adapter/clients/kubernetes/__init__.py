"""Talks to kube-apiserver: the only code that does."""

from adapter.clients.kubernetes.client import ClusterClient
from adapter.clients.kubernetes.events import WatchEvent
from adapter.clients.kubernetes.opening import open_cluster
from adapter.clients.kubernetes.options import ClusterObserver, ClusterOptions

__all__ = ["ClusterClient", "ClusterObserver", "ClusterOptions", "WatchEvent", "open_cluster"]
