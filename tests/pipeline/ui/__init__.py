"""Prefect's pages in a browser."""
