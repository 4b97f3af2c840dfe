"""What nodes read: inputs are found, packed and uploaded to the run's containers."""
