"""Counting, by both kernels, with what memory there may be."""

import io
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.counted_words import (
    KERNELS,
    count_settings,
    counted,
    decoded,
    random_text,
    reference_count,
)
from tests.support.node_program import ROOT
from word_counter.blocks import read_blocks
from word_counter.counting import count_blocks
from word_counter.runs import MOST_RUNS


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(10))
def test_awkward_texts_are_counted_as_the_reference_counts(seed: int, kernel: str) -> None:
    """Random texts of marks, quotes and bad bytes, cut anywhere, give the reference's words."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(200):
        content, block_bytes = random_text(source), source.randint(1, 64)
        found = counted(content, count_settings(kernel=kernel), block_bytes)
        assert found == reference_count(content), content


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sample", ["taskdata1.txt", "taskdata2.txt", "taskdata3.txt"])
def test_the_samples_are_counted_as_the_reference_counts(sample: str, kernel: str) -> None:
    """Every word of the project's own texts has the reference's count."""
    content = (ROOT / "data" / sample).read_bytes()

    assert counted(content, count_settings(kernel=kernel)) == reference_count(content)


@pytest.mark.parametrize("kernel", KERNELS)
def test_words_of_every_length_are_kept_apart(kernel: str) -> None:
    """Words that differ in one letter, of 1 to 99 letters, have their own counts."""
    words = [
        "a" * length + letter + "a" * more
        for length in range(50)
        for more in range(50)
        for letter in "bc"
    ]
    content = " ".join([*words, *words[::2]]).encode()

    assert counted(content, count_settings(kernel=kernel), 1000) == Counter([*words, *words[::2]])


@pytest.mark.parametrize("kernel", KERNELS)
def test_many_different_words_are_counted(kernel: str) -> None:
    """Tables that grow many times lose nothing."""
    words = [f"{number:x}" * (1 + number % 4) for number in range(100_000)]
    content = " ".join([*words, *words[:500]]).encode()

    assert counted(content, count_settings(kernel=kernel)) == Counter([*words, *words[:500]])


@pytest.mark.parametrize("kernel", KERNELS)
def test_spilling_changes_nothing(tmp_path: Path, kernel: str) -> None:
    """With a vocabulary far above the bound, merged runs have the same words."""
    numbers = random.Random(2).choices(range(30_000), k=60_000)  # noqa: S311 - not secret
    content = b" ".join(b"%x" % number for number in numbers)
    how = count_settings(kernel=kernel, folder=tmp_path / "runs")._replace(most_weight=100)
    blocks = read_blocks(io.BytesIO(content), 0, 3000)

    words = count_blocks(blocks, "text", how)

    assert len(words.runs) > MOST_RUNS
    assert decoded(words) == Counter(f"{number:x}" for number in numbers)
