"""The vocabulary of an input, in memory and in runs."""

from collections import Counter
from pathlib import Path

import pytest

from word_counter.vocabulary import Vocabulary


def test_only_the_most_frequent_words_are_kept() -> None:
    """The N words of the highest counts are taken, and all when there are fewer."""
    words = Vocabulary(Path())
    words.add(Counter({b"a": 1, b"b": 3, b"c": 2, b"d": 2}))

    assert words.most_frequent(3) == [(b"b", 3), (b"c", 2), (b"d", 2)]
    assert len(words.most_frequent(10**30)) == 4


@pytest.mark.parametrize("number", [1, 7, 20_000, 50_000])
def test_the_most_frequent_words_of_many_are_found(number: int) -> None:
    """Pruning on the way keeps the right words, ties included."""
    words = Vocabulary(Path())
    words.add(Counter({b"%x" % (n * 7919 % 65537): 1 + n % 3 for n in range(40_000)}))

    best = sorted(words.counts.items(), key=lambda entry: (-entry[1], entry[0]))
    assert words.most_frequent(number) == best[:number]


def test_the_most_frequent_words_of_runs_are_found(tmp_path: Path) -> None:
    """The words of the highest counts are found across runs, ties by code point."""
    words = Vocabulary(tmp_path / "runs", most_weight=2)
    for word in "bacbdaecfghi":
        words.add(Counter({word.encode(): 1}))

    assert words.most_frequent(4) == [(b"a", 2), (b"b", 2), (b"c", 2), (b"d", 1)]
