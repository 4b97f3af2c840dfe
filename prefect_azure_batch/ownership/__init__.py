"""Whose a resource is, whether its run is alive, and how it is deleted."""
