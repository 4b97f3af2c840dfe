"""Blocks of a text with their offsets: read from a stream, and cut between pieces.

A piece is what stands between two separators, which are ASCII.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from word_counter.refusals import ExitCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    Blocks = Iterable[tuple[int, bytes]]

# A block and its pieces are to stay in the processor's cache while they are counted.
BLOCK_BYTES = 32 * 1024
LONGEST_RUN = 1024 * 1024
# The last separator of a block is nearly always among so many bytes.
TAIL_BYTES = 512


def read_blocks(
    stream: BinaryIO, offset: int = 0, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[int, bytes]]:
    """Yield the rest of a stream in blocks with their offsets."""
    while block := stream.read(block_bytes):
        yield offset, block
        offset += len(block)


def whole_pieces(blocks: Blocks, name: str, table: bytes) -> Iterator[bytes]:
    """Yield a text that comes in blocks, cut anywhere, in larger ones cut between pieces.

    Raises:
        Refusal: there is a NUL byte, or more than `LONGEST_RUN` bytes without a separator.
    """
    pending: list[bytes] = []
    held = begin = 0
    for offset, block in blocks:
        refuse_nul(block, offset, name)
        end = last_separator(block, table)
        if held + len(block) > LONGEST_RUN:
            first = block.translate(table).find(b" ")
            if held + (first if first >= 0 else len(block)) > LONGEST_RUN:
                reason = f"{LONGEST_RUN} bytes and more without a separator at offset {begin}"
                raise Refusal(ExitCode.INPUT, f"input {name!r}: {reason}")
        if end >= 0:
            yield b"".join([*pending, block[:end]])
            pending.clear()
            held, begin = 0, offset + end + 1
        pending.append(block[end + 1 :])
        held += len(pending[-1])
    yield b"".join(pending)


def refuse_nul(block: bytes, offset: int, name: str) -> None:
    """Check that a block is text.

    Raises:
        Refusal: there is a NUL byte in it.
    """
    if (nul := block.find(0)) >= 0:
        reason = f"input {name!r} is binary: NUL byte at offset {offset + nul}"
        raise Refusal(ExitCode.INPUT, reason)


def last_separator(block: bytes, table: bytes) -> int:
    """Return where the last separator in a block is, or -1."""
    near = max(len(block) - TAIL_BYTES, 0)
    found = block[near:].translate(table).rfind(b" ")
    return near + found if found >= 0 else block.translate(table).rfind(b" ")
