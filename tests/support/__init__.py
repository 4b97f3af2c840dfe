"""Helpers of the tests: what several of them use, and no test itself."""
