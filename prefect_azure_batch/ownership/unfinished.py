"""Clean-ups of this process that were stopped, for whoever has the last word in it."""

unfinished: dict[str, str] = {}
"""By run: what its clean-up has not deleted, in words; a clean-up that ends takes its own out."""
