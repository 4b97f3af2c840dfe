"""Files and streams, gzip-compressed or plain."""

import gzip
import sys
from pathlib import Path

import pytest

from tests.support.node_program import assert_refused, count, run_program, words_of


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text\0text", "NUL byte at offset 4"),
        (b"x" * 300_000 + b"\0", "NUL byte at offset 300000"),
        ("wide".encode("utf-16"), "UTF-16"),
        (b"\xfe\xff\x00w", "UTF-16"),
    ],
)
def test_binary_input_exits_3(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is not UTF-8 text is refused with its name and the reason, and gives no output."""
    (tmp_path / "bad\nname").write_bytes(content)

    done = run_program(tmp_path, "--filepath", "bad\nname", "--numwords", "1")

    assert_refused(done, 3, r"'bad\nname'", reason)
    assert [path.name for path in tmp_path.iterdir()] == ["bad\nname"]


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.txt", "No such file"), (".", "Is a directory")]
)
def test_input_that_cannot_be_read_exits_3(tmp_path: Path, name: str, reason: str) -> None:
    """A missing file and a directory are input errors that name the input."""
    done = run_program(tmp_path, "--filepath", name, "--numwords", "1")

    assert_refused(done, 3, f"'{name}'", reason)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/mem is Linux's")
def test_an_input_that_fails_while_it_is_read_exits_3(tmp_path: Path) -> None:
    """An input that opens but cannot be read is an input error with the system's reason."""
    done = run_program(tmp_path, "--filepath", "/proc/self/mem", "--numwords", "1")

    assert_refused(done, 3, "'/proc/self/mem'", "Input/output error")


def test_gzip_is_recognised(tmp_path: Path) -> None:
    """Compressed text of two members is counted as its text, whatever its name."""
    text = gzip.compress(b"a b a") + gzip.compress(b" b a") + b"\0\0"

    assert count(tmp_path, text) == [("a", 3), ("b", 2)]


def test_gzip_is_recognised_on_standard_input(tmp_path: Path) -> None:
    """Compressed text that comes through a pipe is counted too."""
    run_program(tmp_path, "--filepath", "-", "--numwords", "1", stdin=gzip.compress(b"x y x"))

    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("x", 2)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"a b c" * 1000)[:-9], "cut off"),
        (gzip.compress(b"a b c")[:-8] + bytes(8), "damaged"),
        (gzip.compress(b"a b c") + b"rest", "damaged"),
        (gzip.compress("wide".encode("utf-16")), "UTF-16"),
        (gzip.compress(b"a\0b"), "NUL byte at offset 1"),
    ],
    ids=["cut", "sum", "rest", "wide", "binary"],
)
def test_bad_gzip_exits_3(tmp_path: Path, content: bytes, reason: str) -> None:
    """Compressed data that is damaged, cut off or no text is refused with the reason."""
    (tmp_path / "text.gz").write_bytes(content)

    done = run_program(tmp_path, "--filepath", "text.gz", "--numwords", "1")

    assert_refused(done, 3, "'text.gz'", reason)
