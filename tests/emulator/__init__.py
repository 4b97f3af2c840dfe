"""Tests of local_azure, driven by the real SDKs."""
