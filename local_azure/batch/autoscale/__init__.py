"""Autoscale formulas: their language, and what a formula gives for a pool."""
