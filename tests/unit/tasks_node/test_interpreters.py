"""The word counter under every CPython from 3.10 on that this machine has."""

import gzip
import random
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.counted_words import random_text
from tests.support.node_program import PROGRAM, ROOT

RESULTS = ("--numwords", "50", "--output", "out", "--counts", "counts")


def interpreters() -> list[str]:
    """Return the running interpreter, then those on the PATH that really start."""
    found = [shutil.which(f"python3.{minor}") for minor in range(10, 15)]
    started = [path for path in found if path and subprocess.call([path, "-c", ""]) == 0]
    return [sys.executable, *started]


def results(python: str, text: Path, folder: Path) -> tuple[bytes, bytes]:
    """Count a text; return the output and the counts. A warning is an error."""
    done = subprocess.run(
        [python, "-W", "error", str(PROGRAM), "--filepath", str(text), *RESULTS],
        cwd=folder,
        env={},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b""), python
    return (folder / "out").read_bytes(), gzip.decompress((folder / "counts").read_bytes())


def test_every_interpreter_gives_the_same(tmp_path: Path) -> None:
    """Samples and awkward texts have the same output and counts, byte for byte, without warnings.

    The awkward characters are older than the Unicode of CPython 3.10.
    """
    source = random.Random(5)  # noqa: S311 - reproducible, not secret
    awkward = tmp_path / "awkward.txt"
    # Large enough for several processes.
    awkward.write_bytes(b"\n".join(random_text(source) for _ in range(1000)) * 100)
    texts = [awkward, *(ROOT / "data").glob("*.txt")]

    expected, *others = [
        [results(python, text, tmp_path) for text in texts] for python in interpreters()
    ]

    assert all(other == expected for other in others)
