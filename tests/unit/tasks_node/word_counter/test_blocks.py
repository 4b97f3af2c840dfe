"""Blocks of a text, cut between pieces."""

from pathlib import Path

import pytest

from tests.support.counted_words import counted
from tests.support.node_program import assert_refused, run_program
from word_counter.refusals import Refusal


def test_a_long_text_without_separators_is_one_word() -> None:
    """A run that spans many blocks is one word, counted whole."""
    assert counted(b"ab" * 5000, block_bytes=64) == {"ab" * 5000: 1}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_run_without_separators_is_reported(tmp_path: Path, processes: str) -> None:
    """A run longer than a megabyte exits 3 with its place, whichever process meets it."""
    text = b"word " * 10 + b"x" * 5_000_000 + b" word"
    (tmp_path / "text").write_bytes(text)

    done = run_program(tmp_path, "--filepath", "text", "--numwords", "1", "--processes", processes)

    assert_refused(done, 3, "'text'", "without a separator at offset 50")


@pytest.mark.parametrize(("length", "is_counted"), [(1 << 20, True), ((1 << 20) + 1, False)])
@pytest.mark.parametrize("block_bytes", [1000, 1 << 18])
def test_the_bound_of_a_run_is_exact(length: int, block_bytes: int, *, is_counted: bool) -> None:
    """Whether a run is too long does not depend on how it is read."""
    content = b"a " + b"x" * length + b" b"

    if is_counted:
        assert counted(content, block_bytes=block_bytes)["x" * length] == 1
    else:
        with pytest.raises(Refusal, match="offset 2"):
            counted(content, block_bytes=block_bytes)


def test_a_nul_byte_of_a_later_process_is_found(tmp_path: Path) -> None:
    """Binary data anywhere in a large file exits 3 with its offset."""
    (tmp_path / "text").write_bytes(b"word " * 1_000_000 + b"\0")

    done = run_program(tmp_path, "--filepath", "text", "--numwords", "1", "--processes", "2")

    assert_refused(done, 3, "NUL byte at offset 5000000")
