"""Tests of results and reports."""
