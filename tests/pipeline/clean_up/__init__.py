"""Every ending of a run, and what is left."""
