"""Texts in files and streams, gzip-compressed or plain."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from word_counter.blocks import BLOCK_BYTES, read_blocks
from word_counter.counting import count_blocks
from word_counter.refusals import ExitCode, Refusal, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from word_counter.counting import CountSettings
    from word_counter.vocabulary import Vocabulary

# Smaller files are not worth a second process.
SMALLEST_SHARED_FILE = 4 * 1024 * 1024
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
GZIP_MARK = b"\x1f\x8b"
# For zlib: a gzip header, and the largest window.
GZIP_WINDOW = 31


class File(NamedTuple):
    """A local file of `size` bytes that can be read from any offset."""

    path: str
    size: int

    def blocks(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield the file from an offset on."""
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(offset)
            yield from read_blocks(stream, offset)


def count_file(file_path: str, settings: CountSettings) -> Vocabulary:
    """Count the words of a file, or of standard input if its path is `-`.

    Raises:
        Refusal: the input is missing, unreadable or not UTF-8 text, or the disk is full.
    """
    is_stdin = file_path == "-"
    with (
        refused(ExitCode.INPUT, f"input {file_path!r}"),
        open(0 if is_stdin else file_path, "rb", closefd=not is_stdin) as stream,
    ):
        status = os.fstat(stream.fileno())
        is_large = stat.S_ISREG(status.st_mode) and status.st_size >= SMALLEST_SHARED_FILE
        if is_stdin or not is_large or stream.peek(2)[:2] == GZIP_MARK:
            return count_stream(stream, file_path, settings)
        refuse_utf16(stream.peek(2), file_path)
        from word_counter.ranges import count_range

        file = File(file_path, status.st_size)
        return count_range(file, 0, file.size, file_path, settings)


def count_stream(stream: BinaryIO, name: str, settings: CountSettings) -> Vocabulary:
    """Count the words of a stream of text, gzip-compressed or plain.

    Raises:
        Refusal: it is not text, cannot be read, or the disk is full.
    """
    head = stream.read(2)
    if head == GZIP_MARK:
        return count_blocks(gunzip(head, stream, name), name, settings)
    refuse_utf16(head, name)
    return count_blocks(chain_head(head, stream), name, settings)


def refuse_utf16(head: bytes, name: str) -> None:
    """Check the first two bytes of an input.

    Raises:
        Refusal: they are a byte order mark of UTF-16.
    """
    if head[:2] in UTF16_MARKS:
        raise Refusal(ExitCode.INPUT, f"input {name!r} is UTF-16; only UTF-8 text is read")


def chain_head(head: bytes, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield a stream of which the head has been read."""
    yield 0, head
    yield from read_blocks(stream, len(head))


def gunzip(head: bytes, stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the text of a gzip stream, of one member or more.

    Raises:
        Refusal: it is damaged or cut off, or its text is UTF-16.
    """
    import zlib

    offset, member = 0, zlib.decompressobj(GZIP_WINDOW)
    for _, block in chain_head(head, stream):
        # Zeros may fill up what comes after a member.
        data = block.lstrip(b"\0") if member.eof else block
        while data:
            if member.eof:
                member = zlib.decompressobj(GZIP_WINDOW)
            try:
                text = member.decompress(data, BLOCK_BYTES)
            except zlib.error as error:
                raise Refusal(ExitCode.INPUT, f"input {name!r}: damaged gzip data") from error
            if offset == 0:
                refuse_utf16(text, name)
            yield offset, text
            offset += len(text)
            data = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
    if not member.eof:
        raise Refusal(ExitCode.INPUT, f"input {name!r}: gzip data is cut off")
