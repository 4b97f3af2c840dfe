"""Tests of local_azure.batch.machine through the SDK."""
