"""Helpers of the tests of runs: endings, phases, pages, servers."""
