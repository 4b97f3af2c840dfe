"""Runs from the preflight to the results, and what interrupts them."""
