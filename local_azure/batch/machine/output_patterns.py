"""Which files of a task an output file pattern means, and what their blobs are called."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from local_azure.batch.machine.transfer import Halt

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")
_WILD = re.compile(r"[*?\[]")


def matching_files(
    working_directory: Path,
    pattern: str,
    path: str | None,
    environment: Mapping[str, str],
    halt: Halt,
) -> dict[Path, str] | None:
    """Find the files of a pattern.

    Args:
        working_directory: what the pattern is relative to.
        pattern: with *, **, ?, [..] and $VARIABLE; `../` reaches stdout.txt and stderr.txt.
        path: blob name of a single file, else the virtual folder of the blobs.
        environment: where variables are looked up.
        halt: ends the search.

    Returns:
        Blob names by file; None where a pattern without wildcards meets no file. Files outside
        the task's own folder never match, nor do FIFOs, devices and sockets.
    """
    expanded = _VARIABLE.sub(lambda m: environment.get(m.group(1) or m.group(2), ""), pattern)
    wild = _WILD.search(expanded) is not None
    task_directory = _real(working_directory.parent)
    if not wild:
        single = _real(working_directory / expanded)
        if not single.is_file() or not single.is_relative_to(task_directory):
            return None
        return {single: path or _relative(single, working_directory)}
    search = _Search(task_directory, halt)
    start = Path("/") if expanded.startswith("/") else working_directory
    found = search.below(start, tuple(part for part in expanded.split("/") if part))
    files = sorted({_real(file) for file in found})
    prefix = f"{path.rstrip('/')}/" if path else ""
    return {
        file: prefix + _relative(file, working_directory)
        for file in files
        if file.is_file() and file.is_relative_to(task_directory)
    }


class _Search:
    """Looks for the files of a pattern, at every folder once.

    `glob` follows links wherever it meets them: two that lead to their own folder keep it busy
    for ever.

    Args:
        boundary: the folder outside of which nothing is of interest.
        halt: ends the search.
    """

    def __init__(self, boundary: Path, halt: Halt) -> None:
        self._boundary = boundary
        self._halt = halt
        self._seen: set[tuple[Path, int]] = set()

    def below(self, folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
        """Give what matches the parts of a pattern; names that begin with a dot must be named."""
        if not pattern:
            yield folder
            return
        here = _real(folder)
        if (here, len(pattern)) in self._seen or not self._is_near(here):
            return
        self._seen.add((here, len(pattern)))
        first, rest = pattern[0], pattern[1:]
        if first == "**":
            yield from self._at_any_depth(folder, rest or ("*",))
        elif _WILD.search(first):
            for name in self._names(folder):
                if fnmatchcase(name, first) and (name[0] != "." or first[0] == "."):
                    yield from self.below(folder / name, rest)
        else:
            yield from self.below(folder / first, rest)

    def _at_any_depth(self, folder: Path, rest: Sequence[str]) -> Iterator[Path]:
        yield from self.below(folder, rest)
        for name in self._names(folder):
            path = folder / name
            if name[0] != "." and path.is_dir() and not path.is_symlink():
                yield from self.below(path, ("**", *rest))

    def _is_near(self, folder: Path) -> bool:
        """Whether a folder is in the boundary, or around it."""
        return folder.is_relative_to(self._boundary) or self._boundary.is_relative_to(folder)

    def _names(self, folder: Path) -> list[str]:
        with self._halt.unless():
            try:
                return [path.name for path in folder.iterdir()]
            except OSError:  # not a folder, or gone
                return []


def _real(path: Path) -> Path:
    """Resolve all links; unlike `Path.resolve` also where they go round in a circle."""
    return Path(os.path.realpath(path))


def _relative(file: Path, working_directory: Path) -> str:
    """Return a file's name below the working directory; of one beside it, its bare name."""
    name = Path(os.path.relpath(file, _real(working_directory))).as_posix()
    return file.name if name.startswith("../") else name
