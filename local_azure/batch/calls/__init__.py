"""A request as the operations see it and the answer they make of it, no HTTP in sight."""
