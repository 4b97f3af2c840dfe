"""The operations of the REST API, by noun: each reads and replaces records, and nothing else."""
