"""Tests of local_azure.batch.operations through the SDK."""
