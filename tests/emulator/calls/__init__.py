"""Tests of local_azure.batch.calls through the SDK."""
