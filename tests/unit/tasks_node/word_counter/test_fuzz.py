"""The node program against the slow reference, on texts that hypothesis makes as awkward as it can.

Every text, block size and range edge is found by hypothesis; a failing example is made small and
printed. Derandomised: each run tries the same examples, and nothing is kept between runs. With
FUZZ_EXAMPLES=20000 in the environment it tries so many in each test.
"""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.counted_words import (
    ALPHABET,
    BAD_BYTES,
    KERNELS,
    count_settings,
    counted,
    counted_in_ranges,
    reference_count,
)
from tests.support.fuzzing import quickly
from word_counter.vocabulary import Vocabulary

STRIPPED = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""" + "\ufeff"
BLOCK_SIZES = st.integers(1, 80)
LONG_KEYS = [letter * length for letter in (b"a", b"b") for length in (7, 8, 9, 15, 16, 17, 33)]
PARTS = [*(char.encode() for char in ALPHABET), *BAD_BYTES, *LONG_KEYS]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=40).map(b"".join)

both_kernels = pytest.mark.parametrize("kernel", KERNELS)


@both_kernels
@quickly
@given(content=TEXTS, block_bytes=BLOCK_SIZES)
def test_any_text_in_any_blocks(kernel: str, content: bytes, block_bytes: int) -> None:
    """A text read in blocks of any size has the words of the reference."""
    assert counted(content, count_settings(kernel=kernel), block_bytes) == reference_count(content)


@both_kernels
@quickly
@given(content=TEXTS, cuts=st.lists(st.integers(1, 400), max_size=6), block_bytes=BLOCK_SIZES)
def test_any_ranges(kernel: str, content: bytes, cuts: list[int], block_bytes: int) -> None:
    """Ranges cut anywhere, even within a character, add up to the words of the reference."""
    edges = [0, *sorted({cut for cut in cuts if cut < len(content)}), len(content)]

    found = counted_in_ranges(content, edges, block_bytes, count_settings(kernel=kernel))

    assert found == reference_count(content)


@both_kernels
@quickly
@given(content=TEXTS, block_bytes=BLOCK_SIZES)
def test_any_text_by_the_tutorial(kernel: str, content: bytes, block_bytes: int) -> None:
    """The words of 2016 are those of one split of the whole text."""
    expected = Counter(word.strip(STRIPPED) for word in content.decode(errors="replace").split())
    del expected[""]

    assert counted(content, count_settings("tutorial", kernel), block_bytes) == expected


@both_kernels
@quickly
@given(content=TEXTS, block_bytes=BLOCK_SIZES, most_weight=st.integers(1, 12))
def test_any_bound_on_the_memory(
    tmp_path_factory: pytest.TempPathFactory,
    kernel: str,
    content: bytes,
    block_bytes: int,
    most_weight: int,
) -> None:
    """Runs on disk, however many, hold the words of the reference."""
    how = count_settings(kernel=kernel, folder=Path(tmp_path_factory.mktemp("runs")))

    found = counted(content, how._replace(most_weight=most_weight), block_bytes)

    assert found == reference_count(content)


@quickly
@given(counts=st.dictionaries(st.binary(min_size=1), st.integers(1, 9)), number=st.integers(1, 9))
def test_the_most_frequent_of_any_words(counts: dict[bytes, int], number: int) -> None:
    """The N highest counts are found, ties by code point."""
    words = Vocabulary(Path())
    words.add(Counter(counts))

    best = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    assert words.most_frequent(number) == best[:number]
