"""From arguments to results."""

import time
from pathlib import Path

from tests.support.node_program import run_program, words_of


def test_standard_input_is_read_for_a_dash(tmp_path: Path) -> None:
    """`-` reads standard input and names the output after it."""
    run_program(tmp_path, "--filepath", "-", "--numwords", "1", stdin=b"x y x")

    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("x", 2)]


def test_the_delay_comes_on_top(tmp_path: Path) -> None:
    """`--delay` makes the program take at least that long."""
    start = time.monotonic()

    run_program(tmp_path, "--filepath", "-", "--numwords", "1", "--delay", "0.4", stdin=b"x")

    assert time.monotonic() - start >= 0.4
    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("x", 1)]


def test_nothing_but_the_output_stays(tmp_path: Path) -> None:
    """The folder of the runs is removed, and the output is exact after spilling."""
    with (tmp_path / "text").open("wb") as file:
        file.writelines(b"%d\n" % number for number in range(1_000_000))
        file.write(b"7 8 8\n")

    done = run_program(tmp_path, "--filepath", "text", "--numwords", "3", "--output", "out")

    assert done.returncode == 0, done.stderr
    assert words_of(tmp_path / "out") == [("8", 3), ("7", 2), ("0", 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "text"]
