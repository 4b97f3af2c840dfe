"""Pools, jobs, batch tasks and the watch over them."""
