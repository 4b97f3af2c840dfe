"""Tests of local_azure.batch.controls through the SDK."""
