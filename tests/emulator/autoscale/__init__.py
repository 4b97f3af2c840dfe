"""Tests of local_azure.batch.autoscale through the SDK."""
