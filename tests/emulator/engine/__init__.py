"""Tests of local_azure.batch.engine through the SDK."""
