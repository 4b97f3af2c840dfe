"""Pieces of text, counted as they stand: by the standard library, or by the accelerator in C."""

from __future__ import annotations

import os
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from word_counter.batches import BATCH_WORDS, batches_of
from word_counter.blocks import LONGEST_RUN

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterator

    from word_counter.batches import Batch

KERNEL_VERSION = 2


class Pieces:
    """Counts pieces with the standard library."""

    def __init__(self, table: bytes) -> None:
        self.table = table
        self.counts: Counter[bytes] = Counter()
        self.key_bytes = 0

    def add(self, text: bytes) -> int:
        """Count the pieces of a text that begins and ends between pieces; return the weight."""
        before = len(self.counts)
        self.counts.update(text.translate(self.table).split())
        new = islice(reversed(self.counts), len(self.counts) - before)
        self.key_bytes += sum(map(len, new))
        return len(self.counts) + self.key_bytes // 64

    def take(self) -> tuple[Counter[bytes], Iterator[Batch]]:
        """Return the counts of ASCII letters and digits, and of other pieces; begin anew."""
        counts, self.counts, self.key_bytes = self.counts, Counter(), 0
        others = [piece for piece in counts if not piece.isalnum()]
        return counts, batches_of(others, [counts.pop(piece) for piece in others])


class NativePieces:
    """Counts pieces with the accelerator: the same as `Pieces`, in C."""

    def __init__(self, table: bytes, library: ctypes.CDLL) -> None:
        import ctypes

        self.native = library
        self.buffer = ctypes.create_string_buffer(2 * LONGEST_RUN)
        self.numbers = (ctypes.c_uint64 * BATCH_WORDS)()
        self.kernel = library.top_words_open(table)
        if not self.kernel:
            raise MemoryError

    def add(self, text: bytes) -> int:
        """Count the pieces of a text that begins and ends between pieces; return the weight."""
        weight = int(self.native.top_words_add(self.kernel, text, len(text)))
        if weight < 0:
            raise MemoryError
        return weight

    def take(self) -> tuple[Counter[bytes], Iterator[Batch]]:
        """Return the counts of ASCII letters and digits, and of other pieces; begin anew."""
        counts: Counter[bytes] = Counter()
        for pieces, numbers in self.batches(are_plain=True):
            dict.update(counts, zip(pieces, numbers, strict=True))
        return counts, self.batches(are_plain=False)

    def batches(self, *, are_plain: bool) -> Iterator[Batch]:
        """Yield the pieces of one kind with their counts; after the second kind all is given."""
        room = (self.buffer, len(self.buffer), self.numbers, len(self.numbers))
        while number := self.native.top_words_take(self.kernel, are_plain, *room):
            yield self.buffer.value.split(), self.numbers[:number]

    def __del__(self) -> None:
        """Free the kernel's memory."""
        self.native.top_words_close(self.kernel)


def load_library() -> ctypes.CDLL | None:
    """Return the accelerator if it lies beside `top_words.py` and can be used here, else None."""
    if sys.platform != "linux":
        return None
    path = Path(__file__).resolve().parents[1] / f"top_words-{os.uname().machine}.so"
    if not path.is_file():
        return None
    import ctypes

    try:
        library = ctypes.CDLL(str(path))
        if library.top_words_version() != KERNEL_VERSION:
            return None
    except (OSError, AttributeError):
        return None  # made for another libc, or something else: the standard library does it
    declare(library)
    return library


def declare(library: ctypes.CDLL) -> None:
    """Set the types of the accelerator's functions."""
    import ctypes

    library.top_words_open.restype = ctypes.c_void_p
    library.top_words_open.argtypes = [ctypes.c_char_p]
    library.top_words_add.restype = ctypes.c_longlong
    library.top_words_add.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.top_words_take.restype = ctypes.c_size_t
    library.top_words_take.argtypes = [
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t),
    ]
    library.top_words_close.restype = None
    library.top_words_close.argtypes = [ctypes.c_void_p]
