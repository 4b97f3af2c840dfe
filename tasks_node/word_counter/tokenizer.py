"""The tokenizer: what a word is, in two definitions, and how pieces of text are cut into words."""

from __future__ import annotations

import re
import string
import unicodedata
from itertools import compress
from operator import not_
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from word_counter.batches import Batch


class Definition(NamedTuple):
    """What a word is, in steps, so that most of a text is never decoded.

    `table` (for bytes.translate) makes a space of every ASCII byte that always separates words;
    what then stands between white space is a piece. One of ASCII letters and digits is a word; one
    that is so once decoded need not be cut either. `cut` yields the words of each of the others.
    `fold` makes words equal that are the same. Both take many at once, each in a line.
    """

    name: str
    table: bytes
    cut: Callable[[str], Iterator[list[str]]]
    fold: Callable[[str], str]


def cut_batch(pieces: list[str], counts: list[int], definition: Definition) -> Iterator[Batch]:
    """Yield the words of pieces, folded, some perhaps twice."""
    are_words = list(map(str.isalnum, pieces))
    others = list(map(not_, are_words))
    cut = definition.cut("\n".join(compress(pieces, others)))
    found = [
        (word, count)
        for words, count in zip(cut, compress(counts, others), strict=False)
        for word in words
    ]
    for words, numbers in (
        (compress(pieces, are_words), list(compress(counts, are_words))),
        ([word for word, _ in found], [count for _, count in found]),
    ):
        yield definition.fold("\n".join(words)).encode().split(), numbers


class WordCharacters(dict[int, "int | str | None"]):
    """For str.translate: what can be in a word stays, of apostrophes there is one, else spaces.

    Soft hyphen, joiners, word joiner and byte order mark are invisible and go; so that a text can
    hold many pieces, the end of a line stays.
    """

    def __missing__(self, code: int) -> int | str:
        """Classify a character when it is first met."""
        is_kept = chr(code).isalnum() or unicodedata.category(chr(code)).startswith("M")
        self[code] = code if is_kept else " "
        return code if is_kept else " "


INVISIBLE = (0xAD, 0x200C, 0x200D, 0x2060, 0xFEFF)
WORD_CHARACTERS = WordCharacters(
    dict.fromkeys(INVISIBLE) | {0x0A: "\n", 0x27: "'", 0x2019: "'"},
)


def unicode_words(pieces: str) -> Iterator[list[str]]:
    """Cut pieces, each in a line, whose other ASCII is only `0-9 a-z '`, into words.

    A word is letters and digits with the combining marks that follow them; a single apostrophe
    between two of them joins.
    """
    for piece in pieces.translate(WORD_CHARACTERS).split("\n"):
        yield [word for run in piece.split() for word in words_of(run)]


def words_of(run: str) -> Iterable[str]:
    """Cut a run of letters, digits, combining marks and apostrophes into words."""
    if run[0].isalnum() and "'" not in run:
        return (run,)
    text = []
    in_word = False
    for char in run:
        # A mark that follows no letter separates.
        in_word = char.isalnum() or (in_word and char != "'")
        text.append(char if in_word or char == "'" else " ")
    parts = "".join(text).split()
    return [word for part in parts for word in re.split("''+", part.strip("'")) if word]


# The mark, and a block in which letters have it.
IOTA_SUBSCRIPT = re.compile("[\u0345\u1f80-\u1fff]")


def fold(words: str) -> str:
    """Make words equal, each in a line, that differ in case or in how accents are composed."""
    # Only for the iota subscript it matters whether a text is decomposed when it is casefolded,
    # which takes letters apart again. Nothing composes with the end of a line.
    if IOTA_SUBSCRIPT.search(words):
        words = unicodedata.normalize("NFD", words)
    return unicodedata.normalize("NFC", words.casefold())


def tutorial_words(pieces: str) -> Iterator[list[str]]:
    """Cut pieces, each in a line, at white space; strip ASCII punctuation and byte order marks."""
    for piece in pieces.split("\n"):
        words = [word.strip(string.punctuation + "\ufeff") for word in piece.split()]
        yield [word for word in words if word]


def ascii_table(is_kept: Callable[[str], bool], make: Callable[[str], str]) -> bytes:
    """Build a table for bytes.translate: kept ASCII through `make`, other ASCII to spaces."""
    plain = [make(char) if is_kept(char) else " " for char in map(chr, range(128))]
    return "".join(plain).encode("ascii") + bytes(range(128, 256))


UNICODE_TABLE = ascii_table(lambda c: c.isalnum() or c == "'", str.lower)
TUTORIAL_TABLE = ascii_table(lambda c: not c.isspace(), str)
# White space separates in both; no encoding that extends ASCII uses it within a character.
WHITE_SPACE_TABLE = ascii_table(lambda c: c not in "\t\n\v\f\r ", str)
DEFINITIONS = {
    "unicode": Definition("unicode", UNICODE_TABLE, unicode_words, fold),
    "tutorial": Definition("tutorial", TUTORIAL_TABLE, tutorial_words, str),
}
