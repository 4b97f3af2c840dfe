"""Pieces: how much they weigh, and that the accelerator counts them as Python does."""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.counted_words import count_settings
from tests.support.node_program import copy_program, run_program
from word_counter.blocks import LONGEST_RUN
from word_counter.pieces import NativePieces, Pieces, load_library
from word_counter.tokenizer import DEFINITIONS, TUTORIAL_TABLE

TABLES = [definition.table for definition in DEFINITIONS.values()]
KEEPING = TUTORIAL_TABLE  # keeps all but white space
BYTES = bytes(range(1, 256))


def test_few_long_words_weigh_as_much_as_many_short_ones() -> None:
    """Memory is bounded in bytes too: a word of 64 kB counts as about a thousand."""
    text = b" ".join(b"%d" % number * 20_000 for number in range(10, 20))

    assert Pieces(count_settings().definition.table).add(text) > 10 * 600


@pytest.mark.parametrize("content", [b"\x7fELF rubbish", b""])
def test_an_accelerator_that_does_not_load_is_not_used(tmp_path: Path, content: bytes) -> None:
    """A library that cannot be loaded changes nothing but the line that says who counted."""
    program = copy_program(tmp_path)
    (tmp_path / f"top_words-{os.uname().machine}.so").write_bytes(content)

    done = run_program(tmp_path, "--filepath", "-", "--numwords", "1", stdin=b"a", program=program)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"top_words: counted with Python, ")


def native(table: bytes) -> NativePieces:
    """Return an accelerator that has counted nothing."""
    library = load_library()
    assert library is not None
    return NativePieces(table, library)


def taken(pieces: Pieces | NativePieces) -> tuple[Counter[bytes], Counter[bytes]]:
    """Take what has been counted: plain pieces, and others, of which each must come once."""
    plain, batches = pieces.take()
    others = [pair for batch in batches for pair in zip(*batch, strict=True)]
    assert len(dict(others)) == len(others)
    return plain, Counter(dict(others))


@pytest.mark.accelerator
@pytest.mark.parametrize("table", TABLES)
def test_both_kernels_give_the_same_pieces(table: bytes) -> None:
    """Random bytes, in pieces of every length up to 40, are distinguished and counted alike."""
    source = random.Random(3)  # noqa: S311 - reproducible, not secret
    some = [bytes(source.choices(BYTES, k=1 + number % 40)) for number in range(20_000)]
    plain = [bytes(source.choices(b"ab09", k=1 + number % 40)) for number in range(20_000)]
    ours, theirs = native(table), Pieces(table)

    weights = [pieces.add(b" ".join([*some, *plain, *some])) for pieces in (ours, theirs)]

    assert weights[0] == weights[1]
    assert taken(ours) == taken(theirs)


@pytest.mark.accelerator
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


@pytest.mark.accelerator
def test_the_longest_pieces_are_given_whole() -> None:
    """Pieces as long as they may be do not all fit into one batch, and none is lost."""
    longest = LONGEST_RUN
    pieces = [letter * (longest - number) for number, letter in enumerate([b"a", b"-", b"b", b"_"])]
    ours = native(KEEPING)

    for piece in [*pieces, *pieces[:2]]:
        ours.add(piece)

    plain, others = taken(ours)
    assert plain == {pieces[0]: 2, pieces[2]: 1}
    assert others == {pieces[1]: 2, pieces[3]: 1}


@pytest.mark.accelerator
def test_after_all_is_taken_counting_begins_anew() -> None:
    """What was taken is not counted again, and a weight is that of what came since."""
    ours = native(TABLES[0])
    ours.add(b"one it's " + b"long" * 9)

    taken(ours)

    assert ours.add(b"one it's") == 2
    assert taken(ours) == ({b"one": 1}, {b"it's": 1})
    assert taken(ours) == ({}, {})
