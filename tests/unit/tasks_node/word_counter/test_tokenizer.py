"""What a word is, against a slow reference that takes one code point at a time."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.counted_words import (
    KERNELS,
    count_settings,
    counted,
    random_text,
    reference_count,
)
from tests.support.node_program import count


def test_ties_are_broken_by_code_point(tmp_path: Path) -> None:
    """Words of equal count are in the order of their code points."""
    assert count(tmp_path, "zebra é apple Zürich 10".encode()) == [
        ("10", 1),
        ("apple", 1),
        ("zebra", 1),
        ("zürich", 1),
        ("é", 1),
    ]


@pytest.mark.parametrize("definition", ["unicode", "tutorial"])
def test_the_byte_order_mark_is_dropped(tmp_path: Path, definition: str) -> None:
    """A byte order mark does not stick to the first word."""
    assert count(tmp_path, b"\xef\xbb\xbfword word", "--words", definition) == [("word", 2)]


def test_invalid_utf8_separates_words(tmp_path: Path) -> None:
    """A byte that is not UTF-8 ends a word and is not part of one."""
    assert count(tmp_path, b"left\xffright left\xc3 right") == [("left", 2), ("right", 2)]


def test_the_tutorial_definition_keeps_case_and_inner_punctuation(tmp_path: Path) -> None:
    """The definition of 2016 splits at white space and strips ASCII punctuation, no more."""
    text = "The the, (the) well-known one—two ... It\u2019s\u00a0so".encode()

    assert count(tmp_path, text, "--words", "tutorial") == [
        ("the", 2),
        ("It\u2019s", 1),
        ("The", 1),
        ("one—two", 1),
        ("so", 1),
        ("well-known", 1),
    ]


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_character_is_taken_as_the_reference_takes_it(kernel: str) -> None:
    """All of the first two planes, behind a letter, before one, and between apostrophes."""
    characters = map(chr, [*range(1, 0xD800), *range(0xE000, 0x20000)])
    content = "\r\n".join(f"a{char}B {char}'{char}'a" for char in characters).encode()

    assert counted(content, count_settings(kernel=kernel)) == reference_count(content)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's IT\u2019S its", {"it's": 2, "its": 1}),
        (
            "'tis rock 'n' roll''s boys'",
            {"tis": 1, "rock": 1, "n": 1, "roll": 1, "s": 1, "boys": 1},
        ),
        ("choice—yours well-known", {"choice": 1, "yours": 1, "well": 1, "known": 1}),
        ("café cafe\u0301 CAFE\u0301 cafe", {"café": 3, "cafe": 1}),
        ("co\u00adoperate cooperate", {"cooperate": 2}),
        ("\u0301mark a'\u0301b", {"mark": 1, "a": 1, "b": 1}),
        ("ΟΔΟΣ οδος οδοσ", {"οδοσ": 3}),
        ("Straße STRASSE", {"strasse": 2}),
        ("3.14 snake_case", {"3": 1, "14": 1, "snake": 1, "case": 1}),
        ("हिन्दी", {"हिन्दी": 1}),
        ("— ' \u2019 … \u0301", {}),
    ],
)
def test_a_word_is_what_the_definition_says(text: str, words: dict[str, int]) -> None:
    """Apostrophes, dashes, accents, invisible characters and case are taken as documented."""
    assert counted(text.encode()) == words


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(3))
def test_the_tutorial_definition_is_independent_of_blocks(seed: int, kernel: str) -> None:
    """The words of 2016, cut in any blocks, are those of one split of the whole text."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    stripped = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""" + "\ufeff"
    for _ in range(200):
        content = random_text(source)
        expected = Counter(
            word.strip(stripped) for word in content.decode(errors="replace").split()
        )
        del expected[""]
        how = count_settings("tutorial", kernel)
        assert counted(content, how, source.randint(1, 64)) == expected, content
