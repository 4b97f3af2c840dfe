"""Tests of how the engine calls the services, without them."""
