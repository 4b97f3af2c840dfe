"""The word counter as a process, from wherever its folder is."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.node_program import PROGRAM, copy_program, run_program, words_of

ARGUMENTS = ("--filepath", "-", "--numwords", "1")


def test_the_program_runs_as_a_read_only_copy(tmp_path: Path) -> None:
    """The script and its folder are enough: copied, read-only, in the C locale."""
    copy = copy_program(tmp_path)
    for path in (copy, *(tmp_path / "word_counter").iterdir()):
        path.chmod(0o400)
    (tmp_path / "word_counter").chmod(0o500)
    work = tmp_path / "work"
    work.mkdir()

    done = run_program(
        work,
        *ARGUMENTS,
        environment={"LC_ALL": "C"},
        stdin="Übung übung".encode(),
        program=copy,
    )

    assert done.returncode == 0, done.stderr
    assert words_of(work / "stdin_OUTPUT.txt") == [("übung", 2)]


@pytest.mark.parametrize("options", [["-I"], ["-I", "-S"], ["-O"], ["-B", "-W", "error"]])
def test_the_program_runs_by_any_options_of_python(tmp_path: Path, options: list[str]) -> None:
    """It finds its modules even where Python leaves the script's folder out of its path."""
    done = subprocess.run(
        [sys.executable, *options, str(PROGRAM), *ARGUMENTS],
        cwd=tmp_path,
        env={},
        input=b"x y x",
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("x", 2)]


def test_the_program_runs_by_a_link(tmp_path: Path) -> None:
    """Its modules lie beside the script itself, not beside a link to it."""
    link = tmp_path / "linked.py"
    link.symlink_to(PROGRAM)

    done = run_program(tmp_path, *ARGUMENTS, stdin=b"x", program=link)

    assert (done.returncode, done.stderr) == (0, b"")


def test_modules_of_the_working_directory_are_not_imported(tmp_path: Path) -> None:
    """What lies where the inputs are cannot take the place of a module."""
    (tmp_path / "word_counter").mkdir()
    (tmp_path / "word_counter" / "__init__.py").write_text("raise RuntimeError")

    assert run_program(tmp_path, *ARGUMENTS, stdin=b"x").returncode == 0
