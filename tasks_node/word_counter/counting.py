"""Counting: the words of one text, block by block, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from word_counter.batches import increase
from word_counter.blocks import whole_pieces
from word_counter.pieces import NativePieces, Pieces
from word_counter.tokenizer import cut_batch
from word_counter.vocabulary import MOST_WEIGHT, Vocabulary

if TYPE_CHECKING:
    import ctypes
    from collections import Counter
    from pathlib import Path

    from word_counter.blocks import Blocks
    from word_counter.tokenizer import Definition

LEAST_WEIGHT = 200_000


class CountSettings(NamedTuple):
    """How to count, whatever the input.

    Attributes:
        definition: what a word is.
        processes: how many may count at once, at least 1.
        folder: where runs go.
        native: the accelerator, if it is to count.
        most_weight: how much may be in memory; see `MOST_WEIGHT` for its unit.
    """

    definition: Definition
    processes: int
    folder: Path
    native: ctypes.CDLL | None = None
    most_weight: int = MOST_WEIGHT

    def shared(self, number: int) -> CountSettings:
        """Return the settings of one of `number` processes that share the memory."""
        return self._replace(most_weight=max(self.most_weight // number, LEAST_WEIGHT))


def count_blocks(blocks: Blocks, name: str, settings: CountSettings) -> Vocabulary:
    """Count the words of a text that comes in blocks.

    Raises:
        Refusal: it is not text, or the disk is full.
    """
    table = settings.definition.table
    pieces = NativePieces(table, settings.native) if settings.native else Pieces(table)
    vocabulary = Vocabulary(settings.folder, settings.most_weight)
    for text in whole_pieces(blocks, name, table):
        if pieces.add(text) > settings.most_weight:
            vocabulary.add(words_in(pieces, settings.definition))
            vocabulary.spill()
    vocabulary.add(words_in(pieces, settings.definition))
    return vocabulary


def words_in(pieces: Pieces | NativePieces, definition: Definition) -> Counter[bytes]:
    """Take pieces and return the counts of their words."""
    words, batches = pieces.take()
    for batch in batches:
        for found, counts in cut_batch(*batch, definition):
            increase(words, found, counts)
    return words
