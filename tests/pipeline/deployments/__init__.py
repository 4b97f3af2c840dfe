"""Deployments, their worker and limits."""
