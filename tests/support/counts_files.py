"""Counts files, parsed by the contract."""

import gzip
import re
from pathlib import Path

# With the number of bytes that could not be decoded, if there are any.
HEADING = r"top_words counts 1 unicode( [1-9]\d*)?"


def parse(path: Path) -> list[tuple[str, int]]:
    """Parse a counts file by the contract."""
    heading, *lines = gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")
    assert re.fullmatch(HEADING, heading)
    return [(line.split("\t")[0], int(line.split("\t")[1])) for line in lines]


def counts_in(content: bytes) -> dict[str, int]:
    """Return the words of a counts file."""
    _, *lines = gzip.decompress(content).decode().splitlines()
    return {word: int(count) for word, count in (line.split("\t") for line in lines)}
