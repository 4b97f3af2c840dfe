"""Unit tests of local_azure.batch.engine."""
