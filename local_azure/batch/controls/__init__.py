"""What a test can change: the clock, the delays and the faults of the emulator."""
