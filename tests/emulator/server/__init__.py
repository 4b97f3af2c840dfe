"""Tests of local_azure.batch.server through the SDK."""
