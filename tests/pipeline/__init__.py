"""Tests of the flow on the emulator, with a real Prefect server."""
