"""Ranges of bytes: they are counted alone, by several processes, and add up to the whole text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from word_counter.counting import count_blocks
from word_counter.processes import in_processes
from word_counter.refusals import ExitCode, refused
from word_counter.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from word_counter.blocks import Blocks
    from word_counter.counting import CountSettings

SMALLEST_PART = 2 * 1024 * 1024
# Adding up the words of two processes takes as long as the accelerator does for about so much.
SMALLEST_NATIVE_PART = 64 * 1024 * 1024


class Source(Protocol):
    """A text of `size` bytes that can be read from any offset."""

    @property
    def size(self) -> int:
        """Bytes."""

    def blocks(self, offset: int) -> Blocks:
        """Yield the text from an offset on."""


def clip(blocks: Blocks, first: int, end: int | None, table: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the part of a text that belongs to its range from `first` to before `end`.

    A piece belongs to the range it begins in, so the ranges of a text add up to it. The blocks
    begin one byte before `first`; without an `end` the range goes to the end of the text.
    """
    inside = first == 0
    for offset, block in blocks:
        start = 0
        if not inside:
            start = block.translate(table).find(b" ") + 1
            inside = start > 0
            if not inside:
                continue
            if end is not None and offset + start >= end:
                return
        if end is not None and offset + len(block) >= end:
            stop = block.translate(table).find(b" ", max(start, end - 1 - offset))
            if stop >= 0:
                yield offset + start, block[start : stop + 1]  # it may be a NUL byte
                return
        yield offset + start, block[start:]


def count_range(
    source: Source, first: int, end: int, name: str, settings: CountSettings
) -> Vocabulary:
    """Count the words of a range of a source, in parts, each in a process of its own.

    Raises:
        Refusal: it is not text, the source cannot be read, or the disk is full.
    """
    end = min(end, source.size)
    smallest = SMALLEST_NATIVE_PART if settings.native else SMALLEST_PART
    parts = max(1, min(settings.processes, (end - first) // smallest))
    alone = settings.shared(parts)
    edges = [first + max(end - first, 0) * number // parts for number in range(parts + 1)]

    def count(part: int) -> Vocabulary:
        return count_part(source, edges[part], edges[part + 1], name, alone)

    with in_processes(lambda part: count(part).portable(), range(1, parts)) as children:
        total = count(0)
        total.most_weight = settings.most_weight
        for child in children:
            total.take(*child.result())
    return total


def count_part(
    source: Source, start: int, stop: int, name: str, settings: CountSettings
) -> Vocabulary:
    """Count the words that begin in a part of a source, in this process.

    Raises:
        Refusal: it is not text, the source cannot be read, or the disk is full.
    """
    if start >= stop:
        return Vocabulary(settings.folder)
    blocks = source.blocks(max(start - 1, 0))
    limit = stop if stop < source.size else None
    with refused(ExitCode.INPUT, f"input {name!r}"):
        clipped = clip(blocks, start, limit, settings.cuts)
        return count_blocks(clipped, name, settings)
