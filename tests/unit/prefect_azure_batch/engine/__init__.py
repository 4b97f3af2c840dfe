"""Tests of the order of a run."""
