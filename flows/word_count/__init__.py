"""Counting words: how inputs become batch tasks of the word counter, and their outputs a result."""
