"""The accelerator gives what the standard library gives, whatever the pieces are."""

import random
from collections import Counter
from typing import Any

import pytest

from tests.unit.test_node_program_words import top_words

pytestmark = pytest.mark.accelerator

TABLES = [definition.table for definition in top_words.DEFINITIONS.values()]
KEEPING = top_words.TUTORIAL_TABLE  # keeps all but white space
BYTES = bytes(range(1, 256))


def native(table: bytes) -> Any:
    """Return an accelerator that has counted nothing."""
    return top_words.NativePieces(table, top_words.load_library())


def taken(pieces: Any) -> tuple[Counter[bytes], Counter[bytes]]:
    """Take what has been counted: plain pieces, and others, of which each must come once."""
    plain, batches = pieces.take()
    others = [pair for batch in batches for pair in zip(*batch, strict=True)]
    assert len(dict(others)) == len(others)
    return plain, Counter(dict(others))


@pytest.mark.parametrize("table", TABLES)
def test_both_kernels_give_the_same_pieces(table: bytes) -> None:
    """Random bytes, in pieces of every length up to 40, are told apart and counted alike."""
    source = random.Random(3)  # noqa: S311 - reproducible, not secret
    some = [bytes(source.choices(BYTES, k=1 + number % 40)) for number in range(20_000)]
    plain = [bytes(source.choices(b"ab09", k=1 + number % 40)) for number in range(20_000)]
    ours, theirs = native(table), top_words.Pieces(table)

    weights = [pieces.add(b" ".join([*some, *plain, *some])) for pieces in (ours, theirs)]

    assert weights[0] == weights[1]
    assert taken(ours) == taken(theirs)


def test_a_piece_is_plain_if_all_of_it_is() -> None:
    """One byte, anywhere in a short piece or a long one, decides."""
    ours = native(KEEPING)
    pieces = [
        before + bytes([byte]) + after
        for byte in KEEPING.translate(None, b" \0")
        for before in (b"", b"a" * 7, b"a" * 40)
        for after in (b"", b"Z", b"9" * 30)
    ]

    ours.add(b" ".join(pieces))

    plain, others = taken(ours)
    assert all(map(bytes.isalnum, plain))
    assert not any(map(bytes.isalnum, others))
    assert plain + others == Counter(pieces)


def test_the_longest_pieces_are_given_whole() -> None:
    """Pieces as long as they may be do not all fit into one batch, and none is lost."""
    longest = top_words.LONGEST_RUN
    pieces = [letter * (longest - number) for number, letter in enumerate([b"a", b"-", b"b", b"_"])]
    ours = native(KEEPING)

    for piece in [*pieces, *pieces[:2]]:
        ours.add(piece)

    plain, others = taken(ours)
    assert plain == {pieces[0]: 2, pieces[2]: 1}
    assert others == {pieces[1]: 2, pieces[3]: 1}


def test_after_all_is_taken_counting_begins_anew() -> None:
    """What was taken is not counted again, and a weight is that of what came since."""
    ours = native(TABLES[0])
    ours.add(b"one it's " + b"long" * 9)

    taken(ours)

    assert ours.add(b"one it's") == 2
    assert taken(ours) == ({b"one": 1}, {b"it's": 1})
    assert taken(ours) == ({}, {})
