"""Unit tests of local_azure.batch.autoscale."""
