"""Tests of the watch over a job."""
