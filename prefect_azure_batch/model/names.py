"""Names of inputs and outputs: readable, safe for every service, and distinct."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator

# A file name has 255 bytes at most, and "-99999" and "_OUTPUT" are still to come.
LONGEST_NAME = 200


def never_reserved(_name: str) -> bool:
    """Take every name for free."""
    return False


def distinct_names(
    names: Iterable[str], is_reserved: Callable[[str], bool] = never_reserved
) -> Iterator[str]:
    """Yield safe names; one that is taken gets `-2`, `-3` ... before its extension.

    Args:
        names: as files or blobs have them.
        is_reserved: whether a name belongs to something else.
    """
    taken: set[str] = set()
    last_numbers: dict[str, int] = {}
    for name in map(safe_name, names):
        stem, extension = os.path.splitext(name)  # noqa: PTH122 - as programs on nodes cut
        unique, number = name, last_numbers.get(name.casefold(), 1)
        while unique.casefold() in taken or is_reserved(unique):
            number += 1
            unique = f"{stem}-{number}{extension}"
        taken.add(unique.casefold())
        last_numbers[name.casefold()] = number
        yield unique


def safe_name(name: str) -> str:
    """Return a file name that every service takes: no control characters, slashes or final dot."""
    text = "".join("_" if _is_unsafe(char) else char for char in name)
    stem, extension = os.path.splitext(text)  # noqa: PTH122 - as programs on nodes cut
    extension = _cut(extension, LONGEST_NAME // 2)
    text = _cut(stem, LONGEST_NAME - len(extension.encode())) + extension
    return f"{text[:-1]}_" if text.endswith((".", " ")) else text


def _is_unsafe(char: str) -> bool:
    # Control characters, lone surrogates (bytes that are not UTF-8), line and paragraph separators.
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char in "/\\"


def _cut(text: str, num_bytes: int) -> str:
    return text.encode()[:num_bytes].decode(errors="ignore")


def output_name_of(input_name: str, suffix: str | None = None) -> str:
    """Return the name of an input's output: its stem, `_OUTPUT`, and a suffix.

    Args:
        input_name: the input's.
        suffix: what the output ends with; None: as its input does.
    """
    stem, extension = os.path.splitext(input_name)  # noqa: PTH122 - as programs on nodes cut
    return f"{stem}_OUTPUT{extension if suffix is None else suffix}"
