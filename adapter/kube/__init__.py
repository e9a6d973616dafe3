"""Kubernetes' words. Pure."""
