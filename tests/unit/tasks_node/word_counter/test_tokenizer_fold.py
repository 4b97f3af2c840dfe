"""Which words are the same: the tokenizer folds many at once, the definition one by one."""

import sys
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.counted_words import fold
from tests.support.fuzzing import quickly
from word_counter import tokenizer
from word_counter.tokenizer import IOTA_SUBSCRIPT

LETTERS = [
    char
    for char in map(chr, range(sys.maxunicode + 1))
    if char.isalnum() or unicodedata.category(char).startswith("M")
]
# What folding changes, or puts in another order.
LIVELY = [
    char
    for char in LETTERS
    if fold(char) != char
    or unicodedata.combining(char)
    or unicodedata.normalize("NFD", char) != char
]
IOTAS = [char for char in LETTERS if "\u0345" in unicodedata.normalize("NFD", char)]
MARKS = [char for char in LETTERS if unicodedata.combining(char)]
WORDS = st.lists(st.text(st.sampled_from(LIVELY), min_size=1, max_size=4), max_size=20)


def folded(words: list[str]) -> list[str]:
    """Fold words as the node program does it."""
    return tokenizer.fold("\n".join(words)).split("\n")


def test_every_letter_and_mark_is_folded_as_defined() -> None:
    """A letter or mark alone has the key of the definition, whatever it stands among."""
    assert folded(LETTERS) == [fold(char) for char in LETTERS]


def test_without_iotas_letters_are_folded_as_defined() -> None:
    """So have those that are not taken apart before they are folded."""
    others = [char for char in LETTERS if not IOTA_SUBSCRIPT.search(char)]

    assert folded(others) == [fold(char) for char in others]


def test_every_iota_subscript_is_recognised() -> None:
    """A letter that a composed text would hide the mark in is known to do so."""
    assert all(map(IOTA_SUBSCRIPT.search, IOTAS))


def test_marks_after_an_iota_subscript() -> None:
    """A mark that belongs before the iota subscript is put there before it is made a letter."""
    words = [iota + mark for iota in IOTAS for mark in MARKS]

    assert folded(words) == [fold(word) for word in words]


@settings(quickly)
@given(words=WORDS)
def test_any_words_are_folded_as_defined(words: list[str]) -> None:
    """Words of letters and marks that fold, compose or reorder have the keys of the definition."""
    assert tokenizer.fold("\n".join(words)) == "\n".join(map(fold, words))
