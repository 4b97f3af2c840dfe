"""What the emulator remembers: records and their states, in memory and on disk."""
