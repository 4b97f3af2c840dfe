"""Dead runs, found and deleted."""
