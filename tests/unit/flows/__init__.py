"""Tests of the flows, without services."""
