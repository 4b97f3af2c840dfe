"""Which of the files that a folder, glob or prefix stands for are results of runs, and no inputs.

Paths here are strings with slashes: real paths of this machine, or blobs behind their container.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from prefect_azure_batch.model.output_record import is_report_or_log

ReadRecord = Callable[[str], frozenset[str] | None]
"""Gives the names that runs wrote into a folder; None if no run ever wrote there."""

OUTPUT = re.compile(r"(.+)_OUTPUT(\.[^/]*)?")


class EarlierResults:
    """What runs wrote, and the output folder of this one.

    Args:
        read_record: asked once for each folder.
        own: this run's output folder; None if it has none among these paths.
    """

    def __init__(self, read_record: ReadRecord, own: str | None = None) -> None:
        self._read_record = lru_cache(maxsize=None)(read_record)
        self._own = own

    def why_not_named(self, path: str) -> str:
        """Return why a file that is named by itself cannot be an input; empty: it can.

        Results of another run's folder can: one run may well work on what another has made.
        """
        name = _name_in(self._own, path)
        if name is None or self._own is None or not self._is_written(self._own, name):
            return ""
        return "was written by a run into the output folder of this one: give another output_dir"

    def why_not(self, paths: Sequence[str], folder: str) -> dict[str, str]:
        """Return which of the files that a pattern stands for are no inputs, and why.

        Args:
            paths: the files.
            folder: the folder itself, the prefix, or the part of the glob before its wildcard.
        """
        reasons = {path: reason for path in paths if (reason := self._why(path, folder))}
        written = {path: into for path in paths if (into := self._written_into(path))}
        is_mixed = any(path not in reasons and path not in written for path in paths)
        # A folder of results alone was meant; among other files they came to be there.
        if is_mixed:
            reasons = {path: _by_a_run(into) for path, into in written.items()} | reasons
        return {**_called_like_outputs(paths), **reasons}

    def _why(self, path: str, folder: str) -> str:
        own_name = _name_in(self._own, path)
        if self._own is not None and own_name is not None:
            if _name_in(folder, self._own) is not None:
                return "is in the output folder of this run"
            if self._is_written(self._own, own_name):
                return "was written by a run into the output folder of this one"
            return ""
        for above in _folders_above(path):
            names = self._read_record(above)
            name = path[len(above) + 1 :]
            if names is None or not (name in names or is_report_or_log(name)):
                continue
            if is_report_or_log(name) or _name_in(folder, above) is not None:
                return _by_a_run(above)
        return ""

    def _is_written(self, folder: str, name: str) -> bool:
        return is_report_or_log(name) or name in (self._read_record(folder) or ())

    def _written_into(self, path: str) -> str:
        for above in _folders_above(path):
            if path[len(above) + 1 :] in (self._read_record(above) or ()):
                return above
        return ""


def _by_a_run(folder: str) -> str:
    return f"was written by a run into {folder!r}"


def _folders_above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path[: path.rfind("/")]
        yield path


def _name_in(folder: str | None, path: str) -> str | None:
    """Return the name of what is below a folder, from there; None if it is not."""
    if folder is None:
        return None
    start = f"{folder.rstrip('/')}/"
    return path[len(start) :] if path.startswith(start) else None


def _called_like_outputs(paths: Sequence[str]) -> dict[str, str]:
    """Return those that bear the name of an output of another of them, whoever wrote them."""
    # Of `b.gz` an output may be `b.gz_OUTPUT.txt`.
    stems = {path: path for path in paths}
    for path in paths:
        stem, dot, _ = path.rpartition(".")
        stems.setdefault(stem if dot and "/" not in path[len(stem) :] else path, path)
    found = {}
    for path in paths:
        match = OUTPUT.fullmatch(path)
        if match and match[1] in stems:
            source = stems[match[1]].rpartition("/")[2]
            found[path] = f"is called like an output of {source!r}: give it by its own name"
    return found
