"""What Kubernetes calls: the metrics APIs over HTTPS."""
