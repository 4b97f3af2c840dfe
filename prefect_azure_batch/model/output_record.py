"""What runs write into an output folder, written down there, so that it never becomes an input.

The record is a file beside the outputs: one name a line, as a JSON string.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

JSON_NAME = "results.json"
CSV_NAME = "results.csv"
REPORT_NAME = "failures.md"
ALL_FAILURES_NAME = "failures.csv"
RECORD_NAME = ".written-by-runs"
# In the output folder, and in the output container.
LOG = re.compile(r"logs/[A-Za-z0-9_-]{1,64}/std(out|err)\.txt")
REPORTS = frozenset({JSON_NAME, CSV_NAME, REPORT_NAME, ALL_FAILURES_NAME, RECORD_NAME})


def is_report_or_log(name: str) -> bool:
    """Tell whether every run may write a file of this name into its output folder."""
    return name in REPORTS or LOG.fullmatch(name) is not None


def record_outputs(folder: Path, names: Iterable[str]) -> None:
    """Add to the record what a run will write into a folder, before it does.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = folder / RECORD_NAME
    before = recorded_outputs(path.read_bytes()) if path.is_file() else frozenset()
    every = sorted({*before, *names})
    partial = path.with_name(f"{RECORD_NAME}.part")
    with partial.open("w", encoding="ascii") as file:
        file.writelines(f"{json.dumps(name)}\n" for name in every)
    partial.replace(path)


def recorded_outputs(content: bytes) -> frozenset[str]:
    """Return the names in a record; a line that is none is left out."""
    return frozenset(name for name in map(_name, content.splitlines()) if name)


def _name(line: bytes) -> str:
    try:
        value = json.loads(line)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""
