"""Tidegauge: a Kubernetes custom-metrics adapter for Prometheus that can explain each answer."""

__version__ = "0.1.0"
