"""Kinds of files that are not text and may hold no NUL byte: known by their first bytes."""

from __future__ import annotations

from word_counter.encodings import UTF_8
from word_counter.refusals import ExitCode, Refusal

HEAD_BYTES = 16
KINDS = {
    b"\xff\xfe": "UTF-16 (--encoding utf-16)",
    b"\xfe\xff": "UTF-16 (--encoding utf-16)",
    b"(\xb5/\xfd": "a zstd file: decompress it, or compress it by gzip",
    b"BZh": "a bzip2 file: decompress it, or compress it by gzip",
    b"\x1f\x9d": "a file of compress: decompress it, or compress it by gzip",
    b"\x04\x22\x4d\x18": "an lz4 file: decompress it, or compress it by gzip",
    b"LZIP\x01": "an lzip file: decompress it, or compress it by gzip",
    b"%PDF-": "a PDF: convert it to text",
}
"""What begins so, and what to do with it; of all other kinds a NUL byte is soon met."""
ORDER_MARKS = {
    "utf-16": (b"\xff\xfe", b"\xfe\xff"),
    "utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"),
}
"""What texts in these encodings begin with: without one, the order of their bytes is not known."""
# Three letters may begin a text, too: of a bzip2 file these are the next but one.
BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


def refuse_other_kinds(head: bytes, name: str, encoding: str) -> None:
    """Check the first bytes of an input.

    Raises:
        Refusal: what begins so is not text, or not in its encoding.
    """
    if head and encoding in ORDER_MARKS and not head.startswith(ORDER_MARKS[encoding]):
        reason = f"has no byte order mark: name its encoding {encoding}-le or {encoding}-be"
        raise Refusal(ExitCode.INPUT, f"input {name!r} {reason}")
    for mark, kind in KINDS.items():
        if head.startswith(mark) and not may_be_text(head, mark, encoding):
            raise Refusal(ExitCode.INPUT, f"input {name!r} is {kind}")


def may_be_text(head: bytes, mark: bytes, encoding: str) -> bool:
    """Tell whether a text in this encoding may begin with a mark, though hardly any does."""
    if mark in ORDER_MARKS["utf-16"]:
        return encoding != UTF_8
    return mark == b"BZh" and not head[4:].startswith(BZIP2_BLOCKS)
