"""Prometheus' words. Pure."""
