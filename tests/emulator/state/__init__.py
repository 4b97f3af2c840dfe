"""Tests of local_azure.batch.state through the SDK."""
