"""Which files of a task an output file pattern means, and what their blobs are called."""

import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")
_WILD = re.compile(r"[*?\[]")


def matching_files(
    working_directory: Path, pattern: str, path: str | None, environment: Mapping[str, str]
) -> dict[Path, str] | None:
    """Find the files of a pattern.

    Args:
        working_directory: what the pattern is relative to.
        pattern: with *, **, ?, [..] and $VARIABLE; `../` reaches stdout.txt and stderr.txt.
        path: blob name of a single file, else the virtual folder of the blobs.
        environment: where variables are looked up.

    Returns:
        Blob names by file; None where a pattern without wildcards meets no file. Files outside
        the task's own folder never match.
    """
    expanded = _VARIABLE.sub(lambda m: environment.get(m.group(1) or m.group(2), ""), pattern)
    wild = _WILD.search(expanded) is not None
    task_directory = working_directory.parent.resolve()
    if not wild:
        single = (working_directory / expanded).resolve()
        if not single.is_file() or not single.is_relative_to(task_directory):
            return None
        return {single: path or _relative(single, working_directory)}
    found = glob.glob(  # noqa: PTH207 - Path.glob takes no ../ and does not skip dot-files
        expanded, root_dir=working_directory, recursive=True
    )
    files = sorted({(working_directory / name).resolve() for name in found})
    prefix = f"{path.rstrip('/')}/" if path else ""
    return {
        file: prefix + _relative(file, working_directory)
        for file in files
        if file.is_file() and file.is_relative_to(task_directory)
    }


def _relative(file: Path, working_directory: Path) -> str:
    """Return a file's name below the working directory; of one beside it, its bare name."""
    name = Path(os.path.relpath(file, working_directory.resolve())).as_posix()
    return file.name if name.startswith("../") else name
