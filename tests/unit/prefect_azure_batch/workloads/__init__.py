"""Tests of the workloads that ship with the engine."""
