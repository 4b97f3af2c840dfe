"""Blocks that sign in with Entra ID."""
