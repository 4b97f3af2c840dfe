"""What a test can bend: the clock, the delays and the faults of the emulator."""
