"""Counts files: all words of an input with their counts, to be added up later."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from operator import lt
from typing import TYPE_CHECKING

from word_counter.batches import lines_of, parse_lines
from word_counter.refusals import ExitCode, Refusal, refused
from word_counter.runs import MOST_RUNS, merge, write_run
from word_counter.tokenizer import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from word_counter.batches import Batch
    from word_counter.tokenizer import Definition
    from word_counter.vocabulary import Vocabulary

HEADING = "top_words counts 1 "
LONGEST_HEADING = 100


def write_counts(
    path: Path, definition: Definition, batches: Iterable[Batch], undecodable: int = 0
) -> None:
    """Write a counts file: gzip-compressed lines, sorted, under a heading.

    The heading also says how many bytes could not be decoded, if there are any.

    Raises:
        Refusal: the file cannot be written.
    """
    note = f" {undecodable}" if undecodable else ""
    heading = f"{HEADING}{definition.name}{note}\n".encode()
    with (
        refused(ExitCode.OUTPUT, f"counts {str(path)!r}"),
        path.open("wb") as file,
        # Neither name nor time: equal counts make equal files.
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream,
    ):
        stream.write(heading)
        for lines in lines_of(batches):
            stream.write(lines)


def read_heading(path: str) -> tuple[str, int]:
    """Return by which definition of words a counts file was made, and its undecodable bytes.

    Raises:
        Refusal: the file cannot be read, or is not a counts file.
    """
    heading = ""
    with (
        refused(ExitCode.INPUT, f"counts {path!r}"),
        gzip.open(path) as stream,
        contextlib.suppress(EOFError, gzip.BadGzipFile, zlib.error),  # then it has no heading
    ):
        heading = stream.readline(LONGEST_HEADING).decode("ascii", "replace")
    name, _, number = heading.removeprefix(HEADING).strip().partition(" ")
    is_heading = heading.startswith(HEADING) and number.isdecimal() | (number == "")
    if not is_heading or name not in DEFINITIONS:
        raise Refusal(ExitCode.INPUT, f"counts {path!r}: not a counts file")
    return name, int(number or 0)


def read_counts(path: str) -> Iterator[Batch]:
    """Yield the batches of a counts file.

    Raises:
        Refusal: the file is cut off, damaged or not sorted.
    """
    last = b""
    with refused(ExitCode.INPUT, f"counts {path!r}"), gzip.open(path) as stream:
        try:
            stream.readline(LONGEST_HEADING)
            for words, counts in parse_lines(stream):  # type: ignore[arg-type]
                check_sorted(last, words, counts)
                last = words[-1]
                yield words, counts
        except (EOFError, ValueError, zlib.error, gzip.BadGzipFile) as error:
            raise Refusal(ExitCode.INPUT, f"counts {path!r}: damaged or not sorted") from error


def check_sorted(last: bytes, words: list[bytes], counts: list[int]) -> None:
    """Check a batch of a counts file that comes after the word `last`.

    Raises:
        ValueError: a word is not greater than the one before it, or has no count of 1 or more.
    """
    is_sorted = all(map(lt, [last, *words], words))
    if not is_sorted or len(words) != len(counts) or min(counts) < 1:
        raise ValueError(last)


def merge_counts(paths: Sequence[str], total: Vocabulary) -> Definition:
    """Add counts files to an empty vocabulary, and return the definition that they share.

    Raises:
        Refusal: a file cannot be read or is not a counts file, they are of different definitions,
            or the disk is full.
    """
    headings = [read_heading(path) for path in paths]
    names = {name: path for (name, _), path in zip(headings, paths, strict=True)}
    if len(names) > 1:
        shown = " and ".join(f"{path!r} by {name}" for name, path in sorted(names.items()))
        raise Refusal(ExitCode.INPUT, f"counts of different words: {shown}")
    total.undecodable += sum(undecodable for _, undecodable in headings)
    for start in range(0, len(paths), MOST_RUNS):
        streams = [read_counts(path) for path in paths[start : start + MOST_RUNS]]
        total.runs.append(write_run(total.folder, merge(streams)))
    return DEFINITIONS[names.popitem()[0]]
