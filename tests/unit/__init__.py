"""Tests without services: pure functions, tables, the node program as a process."""
