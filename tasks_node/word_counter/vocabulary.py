"""The vocabulary of an input: its words with their counts, in memory or in sorted runs on disk."""

from __future__ import annotations

import heapq
import os
from collections import Counter, deque
from typing import TYPE_CHECKING

from word_counter.batches import BATCH_WORDS, increase, sorted_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from word_counter.batches import Batch

    Portable = tuple[list[bytes], list[int], list[str], int]

# A different piece weighs one, and one more for each 64 bytes: about 130 bytes of memory each.
MOST_WEIGHT = 800_000


class Vocabulary:
    """The words of an input with their counts; what exceeds the bound goes to sorted runs.

    Attributes:
        undecodable: how many bytes of the input could not be decoded.
    """

    def __init__(self, folder: Path, most_weight: int = MOST_WEIGHT) -> None:
        self.folder = folder
        self.most_weight = most_weight
        self.counts: Counter[bytes] = Counter()
        self.runs: list[str] = []
        self.undecodable = 0

    def add(self, counts: Counter[bytes]) -> None:
        """Add counts; what was added is then this object's own.

        Raises:
            Refusal: the disk is full, or the folder not writable.
        """
        if self.counts:
            increase(self.counts, list(counts), list(counts.values()))
        else:
            self.counts = counts
        # All of it is on disk if some of it is.
        if self.runs or len(self.counts) > self.most_weight:
            self.spill()

    def portable(self) -> Portable:
        """Return the words as one process can give them to another, which may `take` them."""
        return list(self.counts), list(self.counts.values()), self.runs, self.undecodable

    def take(
        self, words: list[bytes], counts: list[int], runs: list[str], undecodable: int
    ) -> None:
        """Add all that another vocabulary has, in memory and in runs, which are then this one's.

        Raises:
            Refusal: the disk is full, or the folder not writable.
        """
        self.runs += runs
        self.undecodable += undecodable
        increase(self.counts, words, counts)
        if len(self.counts) > self.most_weight:
            self.spill()

    def delete_runs(self) -> None:
        """Delete the runs; what was in them is lost."""
        for run in self.runs:
            os.unlink(run)  # noqa: PTH108 - a string

    def spill(self) -> None:
        """Move what is in memory to a new run.

        Raises:
            Refusal: the disk is full, or the folder not writable.
        """
        if self.counts:
            from word_counter.runs import write_run

            batches, self.counts = sorted_batches(self.counts), Counter()
            self.runs.append(write_run(self.folder, batches))

    def batches(self) -> Iterator[Batch]:
        """Yield every word once, in the order of code points; those in memory stay.

        Raises:
            Refusal: the disk is full, or the folder not writable.
        """
        if not self.runs:
            yield from sorted_batches(self.counts)
            return
        from word_counter.runs import merge_runs, reduce_runs

        self.spill()
        self.runs = reduce_runs(self.folder, self.runs)
        yield from merge_runs(self.runs)

    def most_frequent(self, num_words: int) -> list[tuple[bytes, int]]:
        """Return at most `num_words` words with their counts, ties in the order of code points."""
        best = MostFrequent(num_words)
        batches = best.watch(self.batches() if self.runs else [self.frequent(num_words)])
        deque(batches, 0)
        return best.words()

    def frequent(self, num_words: int) -> Batch:
        """Return the words in memory that have the `num_words` highest counts."""
        floor = min(heapq.nlargest(num_words, self.counts.values()), default=0)
        chosen = [(word, count) for word, count in self.counts.items() if count >= floor]
        return [word for word, _ in chosen], [count for _, count in chosen]


class MostFrequent:
    """The most frequent of the words that pass by in the order of code points, each once."""

    def __init__(self, num_words: int) -> None:
        self.num_words = num_words
        self.entries: list[tuple[int, bytes]] = []

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches as they are."""
        floor = 0
        for words, counts in batches:
            # Once there are enough, a later word of the least count comes after them.
            found = zip(words, counts, strict=True)
            self.entries += [(-count, word) for word, count in found if count > floor]
            if len(self.entries) > 2 * self.num_words + BATCH_WORDS:
                self.entries = heapq.nsmallest(self.num_words, self.entries)
                floor = -self.entries[-1][0]
            yield words, counts

    def words(self) -> list[tuple[bytes, int]]:
        """Return at most `num_words` words with their counts, ties in the order of code points."""
        entries = heapq.nsmallest(self.num_words, self.entries)
        return [(word, -negative) for negative, word in entries]
