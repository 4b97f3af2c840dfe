"""Counts files, parsed by the contract."""

import gzip
from pathlib import Path

HEADING = "top_words counts 1 unicode\n"


def parse(path: Path) -> list[tuple[str, int]]:
    """Parse a counts file by the contract."""
    heading, *lines = gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")
    assert f"{heading}\n" == HEADING
    return [(line.split("\t")[0], int(line.split("\t")[1])) for line in lines]


def counts_in(content: bytes) -> dict[str, int]:
    """Return the words of a counts file."""
    _, *lines = gzip.decompress(content).decode().splitlines()
    return {word: int(count) for word, count in (line.split("\t") for line in lines)}
