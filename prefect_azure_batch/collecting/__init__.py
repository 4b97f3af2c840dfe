"""What comes back of a run: outputs, logs, reports and artifacts."""
