"""Tests of options and errors of the commands."""
