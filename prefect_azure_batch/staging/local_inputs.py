"""Which files of this machine are worked on: by name, folder or glob, each once, in order.

Blobs are listed by `blob_inputs`; here is only which of them are meant.
"""

import glob
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.names import distinct_names
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, is_gzip
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.settings import Selection

BLOB_SCHEME = "az://"
EVERYTHING = Selection()

BlobLister = Callable[[BlobPlace, Selection], Iterable[InputFile]]


def find_inputs(
    workload: Workload[Any],
    patterns: Sequence[str],
    selection: Selection = EVERYTHING,
    list_blobs: BlobLister = lambda _prefix, _selection: (),
) -> list[InputFile]:
    """Find the files that names, folders, globs and blob prefixes stand for, each once, in order.

    Args:
        workload: says which files it can work on, and which names are taken.
        patterns: files, folders and globs of this machine, or `az://container/prefix`.
        selection: which files of folders and globs, and which blobs; a file named outright
            is always taken.
        list_blobs: finds the blobs of a prefix; without it prefixes are only checked for their
            form, and stand for nothing.

    Raises:
        BadInput: a pattern stands for nothing, or a file is not readable, or is refused.
    """
    if not patterns:
        raise BadInput("no input given: name files, folders, globs or az://container/prefix")
    found: dict[str | BlobPlace | None, InputFile] = {}
    for pattern in patterns:
        if pattern.startswith(BLOB_SCHEME):
            sources = list_blobs(blob_prefix(pattern), selection)
        else:
            sources = _files(workload, pattern, selection)
        for source in sources:
            found.setdefault(source.path or source.blob, source)
    names = distinct_names((source.name for source in found.values()), workload.is_reserved)
    return [replace(source, name=name) for source, name in zip(found.values(), names, strict=True)]


def blob_prefix(pattern: str) -> BlobPlace:
    """Return the container and the prefix that `az://container/prefix` names.

    Raises:
        BadInput: it names no container.
    """
    container, _, prefix = pattern.removeprefix(BLOB_SCHEME).partition("/")
    if not container:
        raise BadInput(f"input {pattern!r} names no container: write {BLOB_SCHEME}container/prefix")
    return BlobPlace(container, prefix)


def path_below(prefix: str, name: str) -> str:
    """Return a blob's path below the folder that a prefix names or begins in."""
    rest = name.removeprefix(prefix)
    if not rest or not (prefix.endswith("/") or rest.startswith("/")):
        rest = name[prefix.rfind("/") + 1 :]
    return rest.lstrip("/")


def is_selected(selection: Selection, path: str) -> bool:
    """Tell whether a file is meant: its path or its name is included, and neither excluded."""
    names = (path, path.rpartition("/")[2])

    def matches(patterns: Iterable[str]) -> bool:
        """Tell whether the path or the name matches one of these."""
        return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)

    return (not selection.include or matches(selection.include)) and not matches(selection.exclude)


def _files(workload: Workload[Any], pattern: str, selection: Selection) -> list[InputFile]:
    if os.path.isdir(pattern):  # noqa: PTH112 - strings: a Path takes time per file
        return _files_of(workload, pattern, selection)
    if os.path.lexists(pattern):
        return [_file(workload, pattern)]
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - may be absolute
    files = [match for match in matches if not os.path.isdir(match)]  # noqa: PTH112
    if not files:
        raise BadInput(f"input {pattern!r} matches no file (looked in {str(Path.cwd())!r})")
    selected = [file for file in files if is_selected(selection, file)]
    if not selected:
        raise BadInput(f"input {pattern!r}: selection.include and selection.exclude leave no file")
    return [_file(workload, file) for file in selected]


def _files_of(workload: Workload[Any], folder: str, selection: Selection) -> list[InputFile]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_file()
            )
    except OSError as error:
        raise BadInput(f"input folder {folder!r} is unreadable: {error.strerror}") from error
    selected = [os.path.join(folder, name) for name in names if is_selected(selection, name)]  # noqa: PTH118
    seen = (_look(workload, path) for path in selected)
    found = [source for source, refusal in seen if not refusal]
    if not found:
        chosen = "" if selection == EVERYTHING else " that selection.include and exclude leave"
        raise BadInput(f"input folder {folder!r} holds no {workload.input_kind}{chosen}")
    return found


def _file(workload: Workload[Any], path: str) -> InputFile:
    source, refusal = _look(workload, path)
    if refusal:
        raise BadInput(f"input {path!r} {refusal}")
    return source


def _look(workload: Workload[Any], path: str) -> tuple[InputFile, str]:
    """Return the file, and why the workload refuses it; empty if it does not."""
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - no Path per file
        if not is_regular:
            raise BadInput(f"input {path!r} is not a regular file: save its content to one")
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - no Path per file
            head = file.read(workload.head_bytes)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BadInput(f"input {path!r} is unreadable: {error.strerror}") from error
    whole = os.path.abspath(path)  # noqa: PTH100 - keeps links
    source = InputFile(os.path.basename(path), size, whole, is_gzip=is_gzip(head))  # noqa: PTH119
    return source, workload.refusal(head)
