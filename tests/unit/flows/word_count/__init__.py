"""Tests of what is planned and read for the word counter."""
