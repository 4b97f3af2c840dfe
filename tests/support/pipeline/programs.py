"""Programs that tests put where the word counter would be, to have it fail, wait or take notes."""

import shlex
from pathlib import Path

from tests.support.paths import PROJECT

WORD_COUNTER = PROJECT / "tasks_node" / "top_words.py"
COUNT = (
    "import subprocess, sys\n"
    f"def count(): return subprocess.call([sys.executable, {str(WORD_COUNTER)!r}, *sys.argv[1:]])\n"
)
"""The beginning of such a program: afterwards `count()` counts, and gives the exit code."""


def in_its_place(program: Path) -> str:
    """Return the extra start-task command that puts a program where the word counter is."""
    return f'cp {shlex.quote(str(program))} "$AZ_BATCH_NODE_SHARED_DIR"/top_words/top_words.py'
