"""Which files are counted, and under which names: readable, safe on every service, and distinct."""

import glob
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from flows.errors import BadInput
from flows.work import InputFile

FIRST_BLOCK = 8192
# A file name has 255 bytes at most, and "-99999" and "_OUTPUT" are still to come.
LONGEST_NAME = 200


def find_inputs(patterns: Sequence[str]) -> list[InputFile]:
    """Find the files that names, folders and globs stand for, each once, in the order given.

    Raises:
        BadInput: a pattern stands for nothing, or a file is not readable text.
    """
    if not patterns:
        raise BadInput("no input given: name files, folders or globs")
    found = dict.fromkeys(path for pattern in patterns for path in _expand(pattern))
    names = distinct_names(path.name for path in found)
    return [
        InputFile(name, path.stat().st_size, path) for path, name in zip(found, names, strict=True)
    ]


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return _texts_of(path)
    if os.path.lexists(path):
        files = [path]
    else:
        files = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 - may be absolute
        files = [file for file in files if not file.is_dir()]
    if not files:
        raise BadInput(f"input {pattern!r} matches no file (looked in {str(Path.cwd())!r})")
    for file in files:
        _check_text(file)
    return [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100 - keeps links


def _texts_of(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.absolute().iterdir())
    except OSError as error:
        raise BadInput(f"input folder {str(folder)!r} is unreadable: {error.strerror}") from error
    texts = [
        entry
        for entry in entries
        if entry.is_file() and not entry.name.startswith(".") and not _is_binary(entry)
    ]
    if not texts:
        raise BadInput(f"input folder {str(folder)!r} holds no text file")
    return texts


def _check_text(path: Path) -> None:
    try:
        is_regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise BadInput(f"input {str(path)!r} is unreadable: {error.strerror}") from error
    if not is_regular:
        raise BadInput(f"input {str(path)!r} is no regular file: save its text to one")
    if _is_binary(path):
        raise BadInput(
            f"input {str(path)!r} is binary (it holds NUL bytes): give UTF-8 text; "
            "UTF-16 must be converted"
        )


def _is_binary(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\0" in file.read(FIRST_BLOCK)
    except OSError as error:
        raise BadInput(f"input {str(path)!r} is unreadable: {error.strerror}") from error


def distinct_names(names: Iterable[str]) -> Iterator[str]:
    """Yield safe names; a repeated one gets `-2`, `-3` ... before its extension."""
    taken: set[str] = set()
    for name in map(safe_name, names):
        stem, extension = os.path.splitext(name)  # noqa: PTH122 - as the node program cuts
        unique, number = name, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem}-{number}{extension}"
        taken.add(unique.casefold())
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
