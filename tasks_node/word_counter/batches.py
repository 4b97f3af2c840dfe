"""Batches of words with their counts: what modules pass to each other, and the lines of files."""

from __future__ import annotations

from itertools import repeat
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    Batch = tuple[list[bytes], list[int]]

BATCH_WORDS = 8192
LINES_BYTES = 64 * 1024


def batches_of(pieces: list[bytes], counts: list[int]) -> Iterator[Batch]:
    """Yield pieces and their counts in batches of about `LINES_BYTES`."""
    start = size = 0
    for stop, piece in enumerate(pieces, 1):
        size += len(piece)
        if size > LINES_BYTES:
            yield pieces[start:stop], counts[start:stop]
            start, size = stop, 0
    yield pieces[start:], counts[start:]


def sorted_batches(counts: Counter[bytes]) -> Iterator[Batch]:
    """Yield counts in batches, in the order of code points, which is that of UTF-8."""
    words = sorted(counts)
    for start in range(0, len(words), BATCH_WORDS):
        batch = words[start : start + BATCH_WORDS]
        yield batch, [counts[word] for word in batch]


def increase(held: Counter[bytes], words: Iterable[bytes], counts: Iterable[int]) -> None:
    """Add counts of words, of which some may be there twice."""
    # Faster than Counter.update with a mapping, which is a loop of Python.
    sums = map(add, map(held.get, words, repeat(0)), counts)
    dict.update(held, zip(words, sums, strict=True))


def lines_of(batches: Iterable[Batch]) -> Iterator[bytes]:
    """Yield batches as lines of text: word, tab, count."""
    for words, counts in batches:
        yield b"".join([b"%b\t%d\n" % entry for entry in zip(words, counts, strict=True)])


def parse_lines(stream: BinaryIO) -> Iterator[Batch]:
    """Yield the lines of a stream in batches.

    Raises:
        ValueError: a count is not a number, or the last line has no end.
    """
    rest = b""
    while block := stream.read(LINES_BYTES):
        complete, _, rest = (rest + block).rpartition(b"\n")
        if parts := complete.split():
            yield parts[::2], list(map(int, parts[1::2]))
    if rest:
        raise ValueError(rest)
