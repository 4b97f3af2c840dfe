"""Azure on the laptop: a Batch emulator and Azurite; imports neither Prefect, flows nor blocks."""
