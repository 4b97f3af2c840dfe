"""Outputs, logs and reports."""
