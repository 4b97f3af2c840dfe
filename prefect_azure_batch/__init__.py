"""Many inputs through one workload on Azure Batch: watched, resumable, nothing left behind."""
