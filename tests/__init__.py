"""The test-suite; CONTRIBUTING.md says what belongs where."""
