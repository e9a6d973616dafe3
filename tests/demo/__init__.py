"""`make demo`: a small workload, a real Prometheus, the adapter over TLS, and what an HPA sees of them; no cluster."""
