"""Tests of the benchmarks, without services."""
