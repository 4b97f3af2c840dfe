"""Texts in files and streams, gzip-compressed or plain."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from word_counter.blocks import BLOCK_BYTES, read_blocks
from word_counter.counting import count_blocks
from word_counter.encodings import can_be_cut
from word_counter.kinds import HEAD_BYTES, refuse_other_kinds
from word_counter.refusals import ExitCode, Refusal, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from word_counter.counting import CountSettings
    from word_counter.vocabulary import Vocabulary

# Smaller files are not worth a second process.
SMALLEST_SHARED_FILE = 4 * 1024 * 1024
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
        Refusal: the input is missing, unreadable or not text, or the disk is full.
    """
    is_stdin = file_path == "-"
    with (
        refused(ExitCode.INPUT, f"input {file_path!r}"),
        open(0 if is_stdin else file_path, "rb", closefd=not is_stdin) as stream,
    ):
        status = os.fstat(stream.fileno())
        is_large = stat.S_ISREG(status.st_mode) and status.st_size >= SMALLEST_SHARED_FILE
        is_cut = is_large and not is_stdin and can_be_cut(settings.encoding)
        if not is_cut or stream.peek(2)[:2] == GZIP_MARK:
            return count_stream(stream, file_path, settings)
        refuse_other_kinds(stream.peek(HEAD_BYTES), file_path, settings.encoding)
        from word_counter.ranges import count_range

        file = File(file_path, status.st_size)
        return count_range(file, 0, file.size, file_path, settings)


def count_stream(stream: BinaryIO, name: str, settings: CountSettings) -> Vocabulary:
    """Count the words of a stream of text, gzip-compressed or plain.

    Raises:
        Refusal: it is not text, cannot be read, or the disk is full.
    """
    head = stream.read(HEAD_BYTES)
    if head.startswith(GZIP_MARK):
        return count_blocks(gunzip(head, stream, name, settings.encoding), name, settings)
    refuse_other_kinds(head, name, settings.encoding)
    return count_blocks(chain_head(head, stream), name, settings)


def chain_head(head: bytes, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield a stream of which the head has been read."""
    first = head + stream.read(BLOCK_BYTES - len(head))
    yield 0, first
    yield from read_blocks(stream, len(first))


def gunzip(head: bytes, stream: BinaryIO, name: str, encoding: str) -> Iterator[tuple[int, bytes]]:
    """Yield the text of a gzip stream, of one member or more.

    Raises:
        Refusal: it is damaged or cut off, or what it holds is known not to be text.
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
                refuse_other_kinds(text, name, encoding)
            yield offset, text
            offset += len(text)
            data = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
    if not member.eof:
        raise Refusal(ExitCode.INPUT, f"input {name!r}: gzip data is cut off")
