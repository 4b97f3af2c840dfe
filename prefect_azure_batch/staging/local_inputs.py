"""Which files are worked on, and under which names: readable, safe everywhere, and distinct.

Blobs are listed by whoever can ask the service; here are only their names.
"""

import glob
import os
import re
import stat
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.tasks import BlobPlace, InputFile
from prefect_azure_batch.settings import Selection

FIRST_BLOCK = 8192
# A file name has 255 bytes at most, and "-99999" and "_OUTPUT" are still to come.
LONGEST_NAME = 200
BLOB_SCHEME = "az://"
EVERYTHING = Selection()
GZIP = b"\x1f\x8b"
# What batch tasks leave for others bears these names, or is made of them.
RESERVED = re.compile(
    r"(?i)bundle\d+\.(tar|jsonl)|topntask\d+-(part\d+|merge\d+-\d+)\.txt|total-\d+-\d+\.txt"
)

BlobLister = Callable[[BlobPlace, Selection], Iterable[InputFile]]


def find_inputs(
    patterns: Sequence[str],
    selection: Selection = EVERYTHING,
    list_blobs: BlobLister = lambda _prefix, _selection: (),
    *,
    are_texts: bool = True,
) -> list[InputFile]:
    """Find the files that names, folders, globs and blob prefixes stand for, each once, in order.

    Args:
        patterns: files, folders and globs of this machine, or `az://container/prefix`.
        selection: which files of folders and globs, and which blobs; a file named outright
            is always counted.
        list_blobs: finds the blobs of a prefix; without it prefixes are only checked for their
            form, and stand for nothing.
        are_texts: whether they must be text: the word counter's must.

    Raises:
        BadInput: a pattern stands for nothing, or a file is not readable, or not text.
    """
    if not patterns:
        raise BadInput("no input given: name files, folders, globs or az://container/prefix")
    found: dict[str | BlobPlace | None, InputFile] = {}
    for pattern in patterns:
        if pattern.startswith(BLOB_SCHEME):
            sources = list_blobs(blob_prefix(pattern), selection)
        else:
            sources = _files(pattern, selection, are_texts=are_texts)
        for source in sources:
            found.setdefault(source.path or source.blob, source)
    names = distinct_names(source.name for source in found.values())
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
    """Tell whether a file is counted: its path or its name is included, and neither excluded."""
    names = (path, path.rpartition("/")[2])

    def matches(patterns: Iterable[str]) -> bool:
        """Tell whether the path or the name matches one of these."""
        return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)

    return (not selection.include or matches(selection.include)) and not matches(selection.exclude)


def _files(pattern: str, selection: Selection, *, are_texts: bool) -> list[InputFile]:
    if os.path.isdir(pattern):  # noqa: PTH112 - strings: a Path takes time per file
        return _files_of(pattern, selection, are_texts=are_texts)
    if os.path.lexists(pattern):
        return [_file(pattern, is_text=are_texts)]
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - may be absolute
    files = [match for match in matches if not os.path.isdir(match)]  # noqa: PTH112
    if not files:
        raise BadInput(f"input {pattern!r} matches no file (looked in {str(Path.cwd())!r})")
    selected = [file for file in files if is_selected(selection, file)]
    if not selected:
        raise BadInput(f"input {pattern!r}: selection.include and selection.exclude leave no file")
    return [_file(file, is_text=are_texts) for file in selected]


def _files_of(folder: str, selection: Selection, *, are_texts: bool) -> list[InputFile]:
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
    examined = (_examined(path, is_text=are_texts) for path in selected)
    found = [source for source in examined if source]
    if not found:
        kind = "text file" if are_texts else "file"
        chosen = "" if selection == EVERYTHING else " that selection.include and exclude leave"
        raise BadInput(f"input folder {folder!r} holds no {kind}{chosen}")
    return found


def _file(path: str, *, is_text: bool) -> InputFile:
    source = _examined(path, is_text=is_text)
    if source is None:
        raise BadInput(
            f"input {path!r} is binary (it holds NUL bytes): give UTF-8 text, plain or in gzip; "
            "UTF-16 must be converted"
        )
    return source


def _examined(path: str, *, is_text: bool) -> InputFile | None:
    """Return the file, None if it is binary and must be text."""
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - no Path per file
        if not is_regular:
            raise BadInput(f"input {path!r} is no regular file: save its text to one")
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - no Path per file
            block = file.read(FIRST_BLOCK)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BadInput(f"input {path!r} is unreadable: {error.strerror}") from error
    if is_text and is_binary(block):
        return None
    whole = os.path.abspath(path)  # noqa: PTH100 - keeps links
    return InputFile(os.path.basename(path), size, whole, is_gzip=is_gzip(block))  # noqa: PTH119


def is_gzip(block: bytes) -> bool:
    """Tell whether a file that begins so is compressed."""
    return block.startswith(GZIP)


def is_binary(block: bytes) -> bool:
    """Tell whether a file that begins so is no text, compressed or not."""
    if is_gzip(block):
        try:
            block = zlib.decompressobj(wbits=31).decompress(block, FIRST_BLOCK)
        except zlib.error:
            return True
    return b"\0" in block


def distinct_names(names: Iterable[str]) -> Iterator[str]:
    """Yield safe names; one that is taken gets `-2`, `-3` ... before its extension."""
    taken: set[str] = set()
    last_numbers: dict[str, int] = {}
    for name in map(safe_name, names):
        stem, extension = os.path.splitext(name)  # noqa: PTH122 - as the node program cuts
        unique, number = name, last_numbers.get(name.casefold(), 1)
        while unique.casefold() in taken or RESERVED.fullmatch(unique):
            number += 1
            unique = f"{stem}-{number}{extension}"
        taken.add(unique.casefold())
        last_numbers[name.casefold()] = number
        yield unique


def safe_name(name: str) -> str:
    """Return a file name that every service takes: no control characters, slashes or final dot."""
    text = "".join("_" if _is_unsafe(char) else char for char in name)
    stem, extension = os.path.splitext(text)  # noqa: PTH122 - as the node program cuts
    extension = _cut(extension, LONGEST_NAME // 2)
    text = _cut(stem, LONGEST_NAME - len(extension.encode())) + extension
    return f"{text[:-1]}_" if text.endswith((".", " ")) else text


def _is_unsafe(char: str) -> bool:
    # Control characters, lone surrogates (bytes that are no UTF-8), line and paragraph separators.
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in "/\\"


def _cut(text: str, num_bytes: int) -> str:
    return text.encode()[:num_bytes].decode(errors="ignore")
