"""What the words of a text are: by a slow reference, and by the modules of the word counter."""

import io
import itertools
import random
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from word_counter.blocks import read_blocks
from word_counter.counting import CountSettings, count_blocks
from word_counter.pieces import load_library
from word_counter.ranges import clip
from word_counter.tokenizer import DEFINITIONS
from word_counter.vocabulary import Vocabulary

IGNORED = "\u00ad\u200c\u200d\u2060\ufeff"
ALPHABET = [
    *"aAzZ09'\u2019 -.,_\t\r\n\x0b\x1c\x7f",
    *IGNORED,
    *"éÉßſıİÅǅŉﬁΑΣςͅ中कㄱ가²½Ⅷ٣",  # case pairs, expansions, the iota subscript, other scripts
    *"\u0301\u0338\u0308\u093f\u20dd\ufe0f\u02bc\u2014\u00a0\u2028\u3000\U0001f600\U00010400",
]
BAD_BYTES = [b"\xff", b"\xc3", b"\xe2\x80", b"\xed\xa0\x80", b"\x80", b"\xf0\x9f\x98"]
KERNELS = [
    "python",
    pytest.param("accelerator", marks=pytest.mark.accelerator),
]


def reference_count(content: bytes) -> Counter[str]:
    """Count the words of a text by the definition, slowly: an automaton over its code points."""
    counts: Counter[str] = Counter()
    word, held = "", ""  # the word so far, and an apostrophe that joins if a letter follows
    for char in [*content.decode("utf-8", "replace"), "\n"]:
        if char in IGNORED:
            continue
        if char.isalnum():
            word, held = word + held + char, ""
        elif unicodedata.category(char) in {"Mn", "Mc", "Me"} and word and not held:
            word += char
        elif char in "'\u2019" and word and not held:
            held = "'"
        else:
            counts[word] += 1
            word, held = "", ""
    del counts[""]
    folded: Counter[str] = Counter()
    for each, number in counts.items():
        folded[fold(each)] += number
    return folded


def fold(word: str) -> str:
    """Spell the key of the definition out: NFC(casefold(NFD(word)))."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", word).casefold())


def count_settings(
    words: str = "unicode", kernel: str = "python", folder: Path = Path()
) -> CountSettings:
    """Return how the modules of the word counter are to count."""
    library = load_library() if kernel == "accelerator" else None
    return CountSettings(DEFINITIONS[words], 1, folder, library)


def decoded(vocabulary: Vocabulary) -> Counter[str]:
    """Return what the program has counted as one counter."""
    return Counter(
        {
            word.decode(): count
            for batch in vocabulary.batches()
            for word, count in zip(*batch, strict=True)
        }
    )


def counted(
    content: bytes, how: CountSettings | None = None, block_bytes: int = 1 << 18
) -> Counter[str]:
    """Count with the modules of the word counter, reading in blocks of the given size."""
    blocks = read_blocks(io.BytesIO(content), 0, block_bytes)
    return decoded(count_blocks(blocks, "text", how or count_settings()))


def random_text(source: random.Random) -> bytes:
    """Return a short text of awkward characters and, now and then, bytes that are not UTF-8."""
    parts = [
        source.choice(BAD_BYTES) if source.random() < 0.05 else source.choice(ALPHABET).encode()
        for _ in range(source.randrange(40))
    ]
    return b"".join(parts)


def counted_in_ranges(
    content: bytes, edges: list[int], block_bytes: int, how: CountSettings
) -> Counter[str]:
    """Count the ranges between edges one by one and add them up."""
    total: Counter[str] = Counter()
    for first, end in itertools.pairwise(edges):
        start = max(first - 1, 0)
        blocks = read_blocks(io.BytesIO(content[start:]), start, block_bytes)
        limit = end if end < len(content) else None
        clipped = clip(blocks, first, limit, how.definition.table)
        total += decoded(count_blocks(clipped, "text", how))
    return total
