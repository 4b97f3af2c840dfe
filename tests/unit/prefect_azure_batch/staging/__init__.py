"""Tests of what is uploaded."""
