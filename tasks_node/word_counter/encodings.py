"""Encodings: text in another one becomes UTF-8, and bytes that cannot be decoded are counted."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from word_counter.refusals import ExitCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UTF_8 = "utf-8"
# Python has them as encodings, but no file is written in them, or not only in them.
UNSUITABLE = (
    *("charmap", "idna", "mbcs", "oem", "punycode", "undefined", "utf-7"),
    *("unicode-escape", "raw-unicode-escape"),
)
ASCII = bytes(range(128))
# Of bytes that cannot be decoded, or of those between escapes, a cut would change the meaning.
UNCUT = ("iso2022", "euc_", "gb18030")
# What the decoders call for bytes that they cannot decode.
HANDLER = "top_words"
# How bytes that are not UTF-8 are decoded by `surrogateescape`.
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


def encoding_named(name: str) -> str:
    """Return the one name of an encoding that Python has for all of its names.

    Raises:
        ValueError: there is no such encoding of text.
    """
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError) as error:  # it may hold a NUL
        raise ValueError(name) from error
    found = codec.name.replace("_", "-")
    if found in UNSUITABLE or not codec._is_text_encoding:  # noqa: SLF001 - Python itself asks it so
        raise ValueError(name)
    # UTF-8 is read with its byte order mark, too.
    return UTF_8 if found == "utf-8-sig" else str(codec.name)


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


class Decoder:
    """Decodes one text, block by block; one text at a time in a process.

    Attributes:
        undecodable: how many bytes could not be decoded so far; U+FFFD stands for them.
    """

    def __init__(self, encoding: str) -> None:
        self.undecodable = 0
        codecs.register_error(HANDLER, self.replace)
        self.codec = codecs.getincrementaldecoder(encoding)(HANDLER)

    def replace(self, error: UnicodeError) -> tuple[str, int]:
        """Count the bytes of an error, and go on behind them."""
        if not isinstance(error, UnicodeDecodeError):
            raise error
        self.undecodable += error.end - error.start
        return "\ufffd", error.end

    def blocks(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yield a text in UTF-8; offsets count the bytes of that, from where the text begins."""
        begin: int | None = None
        size = 0
        for offset, block in blocks:
            begin = offset if begin is None else begin
            if text := self.codec.decode(block).encode():
                yield begin + size, text
                size += len(text)
        if text := self.codec.decode(b"", final=True).encode():
            yield (begin or 0) + size, text


def decode_pieces(pieces: list[bytes], counts: list[int]) -> tuple[list[str], int]:
    """Decode pieces of UTF-8, bad bytes to U+FFFD; return how many bytes were bad, all counted."""
    # Exact, because no piece holds an ASCII separator and decoding commutes with cuts at ASCII.
    joined = b"\n".join(pieces)
    try:
        return joined.decode().split("\n"), 0
    except UnicodeDecodeError:
        escaped = joined.decode(UTF_8, "surrogateescape").split("\n")
        bad = [len(ESCAPED_BYTE.findall(piece)) for piece in escaped]
        undecodable = sum(number * count for number, count in zip(bad, counts, strict=True))
        return joined.decode(UTF_8, "replace").split("\n"), undecodable


def report_undecodable(number: int, name: str, encoding: str, *, is_strict: bool) -> str:
    """Return a warning that bytes of an input could not be decoded; empty if all could.

    Raises:
        Refusal: some could not, and that is to be refused.
    """
    if not number:
        return ""
    bytes_are = "byte is" if number == 1 else "bytes are"
    report = f"input {name!r}: {number} {bytes_are} not {encoding}: name its encoding (--encoding)"
    if is_strict:
        raise Refusal(ExitCode.INPUT, report)
    return report
