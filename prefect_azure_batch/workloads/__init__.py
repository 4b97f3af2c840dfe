"""The workloads that ship with the engine."""
