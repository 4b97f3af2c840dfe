"""Names of inputs and outputs: readable, safe for every service, and each by its input alone."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable

# A file name has 255 bytes at most, and "_OUTPUT", a suffix and ".part" are still to come.
LONGEST_NAME = 200
# A blob's name has 1,024 characters and 254 segments at most; its output's is a little longer.
LONGEST_PATH = 900
MOST_FOLDERS = 250
DIGEST_DIGITS = 8
# Control characters, bytes that are not UTF-8, private use, separators of lines and paragraphs.
UNSAFE_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
# How Python has a byte of a path that is not UTF-8.
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
NONCHARACTERS = range(0xFDD0, 0xFDF0)
LAST_OF_A_PLANE = 0xFFFE


def safe_path(path: str) -> str:
    """Return a relative path whose folders and name every service takes, and no disk misreads."""
    return "/".join(safe_name(part) for part in path.split("/") if part not in {"", "."})


def safe_name(name: str) -> str:
    """Return a file name that every service takes: what one would refuse is written as `%0A`.

    A name that is too long is cut, and gets a digest of the whole, so that it stays distinct.
    """
    text = "".join(_escaped(char) if _is_unsafe(char) else char for char in name)
    if text.endswith((".", " ")):
        text = text[:-1] + _escaped(text[-1])
    if len(text.encode()) <= LONGEST_NAME:
        return text
    stem, extension = os.path.splitext(text)  # noqa: PTH122 - as programs on nodes cut
    extension = _cut(extension, LONGEST_NAME // 2)
    end = f"-{hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]}{extension}"
    return _cut(stem, LONGEST_NAME - len(end.encode())) + end


def _is_unsafe(char: str) -> bool:
    code = ord(char)
    return (
        unicodedata.category(char) in UNSAFE_CATEGORIES
        or char in "/\\"
        or code in NONCHARACTERS
        or code & LAST_OF_A_PLANE == LAST_OF_A_PLANE
    )


def _escaped(char: str) -> str:
    handling = "surrogateescape" if ESCAPED_BYTE.match(char) else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", handling))


def _cut(text: str, num_bytes: int) -> str:
    return text.encode()[:num_bytes].decode(errors="ignore")


def why_too_long(name: str) -> str:
    """Return why no blob can have this name or one like it; empty if one can."""
    length = len(name.encode("utf-16-le")) // 2
    if length > LONGEST_PATH:
        return f"has a path of {length:,} characters below its folder, {LONGEST_PATH} at most"
    if name.count("/") > MOST_FOLDERS:
        return f"is in {name.count('/'):,} folders below its own, {MOST_FOLDERS} at most"
    return ""


def unreserved(name: str, is_reserved: Callable[[str], bool]) -> str:
    """Return the name, or if it belongs to something else, that with `-2`, `-3` ... in it."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - as programs on nodes cut
    found, number = name, 1
    while is_reserved(found):
        number += 1
        found = f"{stem}-{number}{extension}"
    return found


def output_name_of(input_name: str, suffix: str | None = None) -> str:
    """Return the name of an input's output: its folders and stem, `_OUTPUT`, and a suffix.

    Args:
        input_name: the input's.
        suffix: what the output ends with; None: as its input does.
    """
    stem, extension = os.path.splitext(input_name)  # noqa: PTH122 - as programs on nodes cut
    return f"{stem}_OUTPUT{extension if suffix is None else suffix}"
