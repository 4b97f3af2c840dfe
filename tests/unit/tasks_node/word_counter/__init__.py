"""The word counter, module by module."""
