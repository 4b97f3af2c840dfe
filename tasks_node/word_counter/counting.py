"""Counting: the words of one text, block by block, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from word_counter.batches import increase
from word_counter.blocks import whole_pieces
from word_counter.encodings import UTF_8, Decoder, decode_pieces
from word_counter.pieces import NativePieces, Pieces
from word_counter.tokenizer import WHITE_SPACE_TABLE, cut_batch
from word_counter.vocabulary import MOST_WEIGHT, Vocabulary

if TYPE_CHECKING:
    import ctypes
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
        encoding: of the text, as `encoding_named` returns it.
        is_strict: whether an input with bytes that cannot be decoded is refused.
    """

    definition: Definition
    processes: int
    folder: Path
    native: ctypes.CDLL | None = None
    most_weight: int = MOST_WEIGHT
    encoding: str = UTF_8
    is_strict: bool = False

    @property
    def cuts(self) -> bytes:
        """For bytes.translate: makes spaces of the bytes at which the text, undecoded, is cut."""
        return self.definition.table if self.encoding == UTF_8 else WHITE_SPACE_TABLE

    def shared(self, number: int) -> CountSettings:
        """Return the settings of one of `number` processes that share the memory."""
        return self._replace(most_weight=max(self.most_weight // number, LEAST_WEIGHT))


def count_blocks(blocks: Blocks, name: str, settings: CountSettings) -> Vocabulary:
    """Count the words of a text that comes in blocks.

    Raises:
        Refusal: it is not text, or the disk is full.
    """
    table = settings.definition.table
    decoder = None if settings.encoding == UTF_8 else Decoder(settings.encoding)
    pieces = NativePieces(table, settings.native) if settings.native else Pieces(table)
    vocabulary = Vocabulary(settings.folder, settings.most_weight)
    for text in whole_pieces(decoder.blocks(blocks) if decoder else blocks, name, table):
        if pieces.add(text) > settings.most_weight:
            add_words(vocabulary, pieces, settings.definition)
            vocabulary.spill()
    add_words(vocabulary, pieces, settings.definition)
    vocabulary.undecodable += decoder.undecodable if decoder else 0
    return vocabulary


def add_words(
    vocabulary: Vocabulary, pieces: Pieces | NativePieces, definition: Definition
) -> None:
    """Move what has been counted as pieces to a vocabulary, as words.

    Raises:
        Refusal: the disk is full, or the folder not writable.
    """
    words, batches = pieces.take()
    for batch, counts in batches:
        texts, undecodable = decode_pieces(batch, counts)
        vocabulary.undecodable += undecodable
        for found, numbers in cut_batch(texts, counts, definition):
            increase(words, found, numbers)
    vocabulary.add(words)
