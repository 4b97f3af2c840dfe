"""Programs of one's own."""
