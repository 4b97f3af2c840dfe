"""Encodings of texts, as Python names them on nodes too, and whether a text can be cut in parts."""

import codecs

UTF_8 = "utf-8"
# Python has them as encodings, but no file is written in them, or not only in them.
UNSUITABLE = (
    *("charmap", "idna", "mbcs", "oem", "punycode", "undefined", "utf-7"),
    *("unicode-escape", "raw-unicode-escape"),
)
ASCII = bytes(range(128))
# Of bytes that cannot be decoded, or of those between escapes, a cut would change the meaning.
UNCUT = ("iso2022", "euc_", "gb18030")
# In them every other byte of most texts is NUL.
WIDE = ("utf-16", "utf-32")


def encoding_named(name: str) -> str:
    """Return the one name of an encoding that Python has for all of its names.

    Raises:
        ValueError: there is no such encoding of text.
    """
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError) as error:  # it may hold a NUL
        raise ValueError(_unknown(name)) from error
    found = codec.name.replace("_", "-")
    if found in UNSUITABLE or not codec._is_text_encoding:  # noqa: SLF001 - Python itself asks it so
        raise ValueError(_unknown(name))
    # UTF-8 is read with its byte order mark, too.
    return UTF_8 if found == "utf-8-sig" else codec.name


def _unknown(name: str) -> str:
    return f"encoding {name!r} is not one that Python reads: such are cp1252, shift_jis, utf-16"


def can_be_cut(encoding: str) -> bool:
    """Tell whether a text can be cut at its ASCII white space without a look at what is before.

    In an encoding that extends ASCII, white space is never a part of another character.
    """
    if encoding.startswith(UNCUT):
        return False
    try:
        return encoding == UTF_8 or ASCII.decode(encoding) == ASCII.decode("ascii")
    except UnicodeDecodeError:
        return False


def is_wide(encoding: str) -> bool:
    """Tell whether texts in an encoding hold NUL bytes."""
    return encoding.startswith(WIDE)
