"""Helpers for tests that need an emulator, or pools, jobs, tasks and blobs in one."""
