"""The word counter as a process, started in a folder as a node would start it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tasks_node" / "top_words.py"
RULE = "-" * 30


def run_program(
    folder: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    stdin: bytes = b"",
    program: Path = PROGRAM,
) -> subprocess.CompletedProcess[bytes]:
    """Run the node program in a folder, with nothing in its environment but what is given."""
    return subprocess.run(
        [sys.executable, str(program), *arguments],
        cwd=folder,
        env=environment or {},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def words_of(output: Path) -> list[tuple[str, int]]:
    """Parse an output file by the contract: the words stand between the two rules."""
    lines = output.read_text(encoding="utf-8").split("\n")
    first = lines.index(RULE)
    entries = [line.split("\t") for line in lines[first + 1 : lines.index(RULE, first + 1)]]
    return [(word, int(count)) for word, count in entries]


def count(folder: Path, text: bytes, *arguments: str) -> list[tuple[str, int]]:
    """Return what the program finds in a text."""
    (folder / "text.txt").write_bytes(text)
    done = run_program(folder, "--filepath", "text.txt", "--numwords", "9", *arguments)
    assert done.returncode == 0, done.stderr
    return words_of(folder / "text_OUTPUT.txt")


def assert_refused(
    done: subprocess.CompletedProcess[bytes], exit_code: int, *evidence: str
) -> None:
    """Check the exit code and that stderr is one line which holds the evidence."""
    message = done.stderr.decode()
    assert done.returncode == exit_code, message
    assert message.count("\n") == 1
    assert message.endswith("\n")
    assert all(part in message for part in evidence), message


def copy_program(folder: Path) -> Path:
    """Copy the word counter as it is in the repository into a folder; return what to run."""
    shutil.copytree(
        PROGRAM.with_name("word_counter"),
        folder / "word_counter",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return Path(shutil.copy(PROGRAM, folder))
