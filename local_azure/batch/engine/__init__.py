"""What follows the records: it makes nodes, places tasks on them, runs commands and ends jobs."""
