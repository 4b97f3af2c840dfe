"""Programs over many files, as a function."""
