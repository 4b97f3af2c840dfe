"""The node programs, without services."""
