"""Tests of the rules by which runs live and die."""
