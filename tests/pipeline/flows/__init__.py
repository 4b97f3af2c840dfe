"""The flows of this project."""
