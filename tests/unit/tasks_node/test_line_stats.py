"""The example of a program of one's own, as a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "tasks_node" / "line_stats.py"


def stats(folder: Path, content: bytes, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it over a file of this content."""
    (folder / "a.txt").write_bytes(content)
    command = [sys.executable, str(PROGRAM), *arguments, "a.txt", "out.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (0, 0, "", 0)),
        (b"one\ntwo two\r\nsix six\n", (21, 3, "two two", 2)),
        ("žluť\n\nlast".encode(), (12, 3, "žluť", 1)),
    ],
)
def test_lines(tmp_path: Path, content: bytes, expected: tuple[int, int, str, int]) -> None:
    """Bytes, lines and the first of the longest ones; the last needs no end."""
    done = stats(tmp_path, content)

    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out.json").read_text("utf-8"))
    names = ("bytes", "lines", "longest_line", "longest_line_number")
    assert tuple(written[name] for name in names) == expected


def test_matching_lines(tmp_path: Path) -> None:
    """Each expression has its number of lines, also if it is given twice."""
    stats(tmp_path, b"one\ntwo\nonly\n", "--matching", "^on", "--matching=o$", "--matching=o$")

    assert json.loads((tmp_path / "out.json").read_text())["matching"] == {"^on": 2, "o$": 1}


def test_what_is_not_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are one line on standard error, and no output."""
    done = stats(tmp_path, b"caf\xe9\n")

    assert done.returncode == 3
    assert done.stderr.startswith("line_stats.py: a.txt: 'utf-8' codec can't decode byte 0xe9")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


def test_what_is_not_an_expression(tmp_path: Path) -> None:
    """An argument that cannot be read is named on standard error."""
    done = stats(tmp_path, b"", "--matching", "(")

    assert done.returncode == 2
    assert "'(' is not a regular expression" in done.stderr
