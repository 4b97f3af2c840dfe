"""Tests of the library, without services."""
