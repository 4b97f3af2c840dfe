"""Sorted runs: the files on disk that hold what is too much for the memory, and their merge."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING

from word_counter.batches import lines_of, parse_lines
from word_counter.refusals import ExitCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from word_counter.batches import Batch

# So many files are open at once.
MOST_RUNS = 64


def write_run(folder: Path, batches: Iterable[Batch]) -> str:
    """Write a sorted run to a new file and return its path, a string for other processes.

    Raises:
        Refusal: the disk is full, or the folder not writable.
    """
    import tempfile

    try:
        folder.mkdir(exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=folder)
        with open(descriptor, "wb") as stream:
            stream.writelines(lines_of(batches))
    except OSError as error:
        reason = f"working folder {str(folder.parent)!r}: {error.strerror}"
        raise Refusal(ExitCode.OUTPUT, reason) from error
    return path


def read_run(path: str) -> Iterator[Batch]:
    """Yield the batches of a run."""
    with open(path, "rb", buffering=0) as stream:
        yield from parse_lines(stream)


def merge_runs(runs: Iterable[str]) -> Iterator[Batch]:
    """Merge runs, of which at most `MOST_RUNS` are given."""
    return merge([read_run(run) for run in runs])


def reduce_runs(folder: Path, runs: list[str]) -> list[str]:
    """Merge runs into longer ones until they can be open all at once; return what they are then.

    Raises:
        Refusal: the disk is full, or the folder not writable.
    """
    while len(runs) > MOST_RUNS:
        some, runs = runs[:MOST_RUNS], runs[MOST_RUNS:]
        runs.append(write_run(folder, merge_runs(some)))
        for run in some:
            os.unlink(run)  # noqa: PTH108 - a string
    return runs


class SortedStream:
    """A sorted stream of batches, the next of them in hand."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self.rest = batches
        self.words: list[bytes] = []
        self.counts: list[int] = []
        self.start = 0

    def refill(self) -> bool:
        """Take the next batch if the one in hand is used up; return whether there is any."""
        if self.start == len(self.words):
            self.words, self.counts = next(self.rest, ([], []))
            self.start = 0
        return bool(self.words)

    def take(self, last: bytes) -> Iterator[tuple[bytes, int]]:
        """Return the entries of the batch in hand up to the word `last`."""
        start, self.start = self.start, bisect_right(self.words, last, self.start)
        chosen = slice(start, self.start)
        return zip(self.words[chosen], self.counts[chosen], strict=True)


def merge(streams: Iterable[Iterator[Batch]]) -> Iterator[Batch]:
    """Merge sorted streams, adding the counts of equal words; one batch of each is in memory."""
    rest = [SortedStream(stream) for stream in streams]
    while rest := [stream for stream in rest if stream.refill()]:
        last = min(stream.words[-1] for stream in rest)
        counts: Counter[bytes] = Counter(dict(rest[0].take(last)))
        for stream in rest[1:]:
            counts.update(dict(stream.take(last)))
        words = sorted(counts)
        yield words, [counts[word] for word in words]
