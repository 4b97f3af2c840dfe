"""Which files of this machine are worked on: by name, folder or glob, each once, in order.

Blobs are listed by `blob_inputs`; here is only which of them are meant.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.left_out import LeftOut, left_out_in_words
from prefect_azure_batch.model.names import why_too_long
from prefect_azure_batch.model.output_record import RECORD_NAME, recorded_outputs
from prefect_azure_batch.model.tasks import BLOB_SCHEME, BlobPlace, InputFile, Inputs, is_gzip
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.paths import check_text, local_path, shown
from prefect_azure_batch.settings import Selection
from prefect_azure_batch.staging.earlier_results import EarlierResults
from prefect_azure_batch.staging.globs import MAGIC, Glob, is_visible
from prefect_azure_batch.staging.input_names import Root, named

EVERYTHING = Selection()
# `az:/x` and `AZ://x` too: what means a blob is never a path.
BLOB = re.compile(r"az://")
RUNS_CONTAINER = re.compile(r"tw-[0-9a-f]{32}-(application|input|output)")

BlobLister = Callable[[BlobPlace, "Search"], Inputs]


@dataclass(frozen=True)
class Search:
    """How inputs are found.

    Attributes:
        selection: which files of folders and globs, and which blobs; a file named outright is
            always taken.
        root: what names are relative to.
        output_dir: where this run writes: nothing in it that a run has written is an input.
    """

    selection: Selection = EVERYTHING
    root: Root = field(default_factory=Root)
    output_dir: Path | None = None


DEFAULT_SEARCH = Search()


def no_blobs(_prefix: BlobPlace, _search: Search) -> Inputs:
    """Find nothing: prefixes are only checked for their form."""
    return Inputs(())


def find_inputs(
    workload: Workload[Any],
    patterns: Sequence[str],
    search: Search = DEFAULT_SEARCH,
    list_blobs: BlobLister = no_blobs,
) -> Inputs:
    """Find the files that names, folders, globs and blob prefixes stand for, each once, in order.

    Args:
        workload: says which files it can work on, and which names are taken.
        patterns: files, folders and globs of this machine, or `az://container/prefix`.
        search: how.
        list_blobs: finds the blobs of a prefix.

    Raises:
        BadInput: a pattern stands for nothing, a file that is named is not readable or is
            refused, or two inputs have one name.
        ConfigurationError: a pattern is not a path, or a URL of another kind.
    """
    if not patterns:
        raise BadInput("no input given: name files, folders, globs or az://container/prefix")
    finder = _LocalFinder(workload, search)
    sources: list[InputFile] = []
    left_out: dict[str, LeftOut] = {}
    for pattern in patterns:
        check_text(pattern, "input")
        if BLOB.match(pattern):
            found = list_blobs(blob_prefix(pattern), search)
        else:
            found = finder.find(local_path(pattern, "input"))
        sources += found
        left_out |= {item.source: item for item in found.left_out}
    inputs = named(sources, workload.is_reserved)
    for source in inputs:
        left_out.pop(source.source, None)
    return Inputs(inputs, list(left_out.values()))


def blob_prefix(pattern: str) -> BlobPlace:
    """Return the container and the prefix that `az://container/prefix` names.

    Raises:
        BadInput: it names no container, or one that a run has made.
    """
    container, _, prefix = pattern.removeprefix(BLOB_SCHEME).partition("/")
    if not container:
        raise BadInput(f"input {pattern!r} names no container: write {BLOB_SCHEME}container/prefix")
    if RUNS_CONTAINER.fullmatch(container):
        raise BadInput(
            f"input {pattern!r}: container {container} is a run's own, and deleted with it: what "
            "a run wrote is not an input; copy it into a container of yours, or give its output "
            "folder"
        )
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


class _LocalFinder:
    """Finds the files of this machine that patterns stand for."""

    def __init__(self, workload: Workload[Any], search: Search) -> None:
        self._workload, self._search = workload, search
        own = None if search.output_dir is None else os.path.realpath(search.output_dir)
        self._results = EarlierResults(_read_record, own)
        self._real_folder = lru_cache(maxsize=None)(os.path.realpath)

    def find(self, pattern: str) -> Inputs:
        """Find the files of one pattern."""
        if os.path.isdir(pattern):  # noqa: PTH112 - strings: a Path takes time per file
            return self._in_folder(pattern)
        if os.path.lexists(pattern):
            return Inputs([self._named(pattern)])
        if not MAGIC.search(pattern):
            raise BadInput(
                f"input {shown(pattern)!r} matches no file (looked in {str(Path.cwd())!r})"
            )
        return self._of_glob(pattern)

    def _in_folder(self, folder: str) -> Inputs:
        left_out: list[LeftOut] = []
        files: list[str] = []
        try:
            with os.scandir(folder) as entries:
                names = sorted((entry.name, _is_folder(entry)) for entry in entries)
        except OSError as error:
            raise BadInput(
                f"input folder {shown(folder)!r} is unreadable: {error.strerror}"
            ) from error
        for name, is_folder in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - as above
            if not is_visible(name, "*"):
                continue
            if is_folder:
                left_out.append(LeftOut(shown(path), self._why_no_folder(path)))
            elif is_selected(self._search.selection, name):
                files.append(path)
        found = self._examined(files, folder)
        everything = Inputs(found.files, [*left_out, *found.left_out])
        if not found.files:
            is_chosen = self._search.selection != EVERYTHING
            chosen = " that selection.include and exclude leave" if is_chosen else ""
            kind = self._workload.input_kind
            _refuse(f"input folder {shown(folder)!r} holds no {kind}{chosen}", everything)
        return everything

    def _why_no_folder(self, path: str) -> str:
        own = self._search.output_dir
        if own is not None and os.path.realpath(own) == os.path.realpath(path):
            return "is the output folder of this run"
        return "is a folder: give a glob with ** to go down into folders"

    def _of_glob(self, pattern: str) -> Inputs:
        glob = Glob(pattern)
        matches = glob.matches()
        folders = {match for match in matches if os.path.isdir(match)}  # noqa: PTH112 - as above
        files = [match for match in matches if match not in folders]
        left_out = [*glob.left_out]
        if not glob.has_any_depth:
            left_out += (LeftOut(shown(each), self._why_no_folder(each)) for each in folders)
        if not files:
            place = f"(looked in {str(Path.cwd())!r})"
            _refuse(f"input {shown(pattern)!r} matches no file {place}", Inputs((), left_out))
        selected = [file for file in files if is_selected(self._search.selection, file)]
        if not selected:
            raise BadInput(
                f"input {shown(pattern)!r}: selection.include and selection.exclude leave no file"
            )
        found = self._examined(selected, glob.folder)
        everything = Inputs(found.files, [*left_out, *found.left_out])
        if not found.files:
            kind = self._workload.input_kind
            _refuse(f"input {shown(pattern)!r} matches no {kind}", everything)
        return everything

    def _examined(self, paths: Sequence[str], folder: str) -> Inputs:
        """Look into the files that a folder or a glob stands for."""
        real = {path: self._real(path) for path in paths}
        reasons = self._results.why_not(list(real.values()), os.path.realpath(folder or "."))
        sources: list[InputFile] = []
        left_out: list[LeftOut] = []
        for path in paths:
            name = self._search.root.name_of(path, path[len(folder) :].lstrip("/"))
            reason = reasons.get(real[path]) or why_too_long(name)
            if not reason:
                source, reason = self._look(path, name)
            if reason:
                left_out.append(LeftOut(shown(path), reason))
            else:
                sources.append(source)
        return Inputs(sources, left_out)

    def _named(self, path: str) -> InputFile:
        own_name = os.path.basename(path)  # noqa: PTH119 - as above
        name = self._search.root.name_of(path, own_name)
        reason = self._results.why_not_named(self._real(path)) or why_too_long(name)
        if not reason:
            source, reason = self._look(path, name)
        if reason:
            raise BadInput(f"input {shown(path)!r} {reason}")
        return source

    def _real(self, path: str) -> str:
        """Return where a file is, links to its folder seen through."""
        folder, name = os.path.split(path)
        return os.path.join(self._real_folder(folder or "."), name)  # noqa: PTH118 - as above

    def _look(self, path: str, name: str) -> tuple[InputFile, str]:
        """Return the file, and why it cannot be worked on; empty if it can."""
        head, size, reason = b"", 0, ""
        try:
            if stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - no Path per file
                with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - no Path per file
                    head = file.read(self._workload.head_bytes)
                    size = os.fstat(file.fileno()).st_size
                reason = self._workload.refusal(head)
            else:
                reason = "is not a regular file: save its content to one"
        except OSError as error:
            what = "is a link that leads to no file" if os.path.islink(path) else "is unreadable"  # noqa: PTH114
            reason = f"{what}: {error.strerror}"
        whole = os.path.abspath(path)  # noqa: PTH100 - keeps links
        return InputFile(name, size, whole, is_gzip=is_gzip(head), given=shown(path)), reason


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # Why it cannot be read is said when it is looked into.
        return False


def _read_record(folder: str) -> frozenset[str] | None:
    try:
        with open(f"{folder}/{RECORD_NAME}", "rb") as file:  # noqa: PTH123 - as above
            return recorded_outputs(file.read())
    except OSError:
        return None


def _refuse(reason: str, inputs: Inputs) -> None:
    text = left_out_in_words(inputs.left_out)
    raise BadInput(f"{reason}; left out, {text}" if text else reason)
