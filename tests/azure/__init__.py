"""The pipeline's scenarios on a real account; docs/azure.md says how they are run."""
