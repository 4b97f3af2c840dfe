"""Count the words of texts and write the most frequent ones to files.

This is the node program: it runs on the nodes of a pool, or anywhere, alone in its one file. It
needs the standard library of CPython 3.10 or newer and nothing else. The contract (arguments,
environment, output formats, exit codes) is in README.md beside it.

Text comes in blocks; what stands between ASCII separators in it is a piece. Pieces are counted
as they stand, by the accelerator if it lies beside this file, and only the different ones are then
cut into words. Many words go to sorted runs on disk, which are merged: memory stays bounded.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import heapq
import os
import re
import stat
import string
import sys
import time
import unicodedata
from bisect import bisect_right
from collections import Counter, deque
from itertools import compress, islice, repeat
from operator import add, lt, not_
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from http.client import HTTPConnection
    from typing import Any, BinaryIO

    Blocks = Iterable[tuple[int, bytes]]
    Batch = tuple[list[bytes], list[int]]

# A block and its pieces are to stay in the processor's cache while they are counted.
BLOCK_BYTES = 32 * 1024
LINES_BYTES = 64 * 1024
LONGEST_RUN = 1024 * 1024
SMALLEST_PART = 2 * 1024 * 1024
# Adding up the words of two processes takes as long as the accelerator does for about so much.
SMALLEST_NATIVE_PART = 64 * 1024 * 1024
# A different piece weighs one, and one more for each 64 bytes: about 130 bytes of memory each.
MOST_WEIGHT = 800_000
LEAST_WEIGHT = 200_000
MOST_RUNS = 64
BATCH = 8192
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
GZIP_MARK = b"\x1f\x8b"
COUNTS_HEADING = "top_words counts 1 "
LONGEST_DELAY_S = 7 * 24 * 3600
RULE = "-" * 30

CONTAINER_VARIABLE = "TOP_WORDS_CONTAINER_URL"
INPUT_VARIABLE = "TOP_WORDS_INPUT_URL"
SAS_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?)"
    r"(?P<path>/[^?#]*[^?#/])/?\?(?P<sas>[^#]+)",
    re.ASCII | re.IGNORECASE,
)
STORAGE_VERSION = "2021-12-02"
DOWNLOAD_BYTES = 4 * 1024 * 1024
RETRIES = 5
FIRST_DELAY_S = 0.5
TIMEOUT_S = 60
CREATED, PARTIAL_CONTENT, NO_SUCH_RANGE, SERVER_ERROR = 201, 206, 416, 500
TIMED_OUT_OR_THROTTLED = (408, 429)


class ExitCode(enum.IntEnum):
    """What the exit code says."""

    OK = 0
    USAGE = 2
    INPUT = 3
    UPLOAD = 4
    OUTPUT = 5
    INTERNAL = 70


class Refusal(Exception):  # noqa: N818 - it is an answer to the user, not a defect
    """A reason to stop that the user can act on: one line, and the exit code that goes with it."""

    def __init__(self, exit_code: ExitCode, reason: str) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def explain(error: Exception) -> Refusal:
    """Return an error as a refusal; a defect is told without its text, which may hold the SAS."""
    if isinstance(error, Refusal):
        return error
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return Refusal(ExitCode.INTERNAL, f"internal error: {type(error).__name__} at {where}")


class Definition(NamedTuple):
    """What a word is, in steps, so that most of a text is never decoded.

    `table` (for bytes.translate) makes a space of every ASCII byte that always separates words;
    what then stands between white space is a piece. One of ASCII letters and digits is a word; one
    that is so once decoded need not be cut either. `cut` yields the words of each of the others.
    `fold` makes words equal that are the same. Both take many at once, each in a line.
    """

    name: str
    table: bytes
    cut: Callable[[str], Iterator[list[str]]]
    fold: Callable[[str], str]


class Simpler(dict[int, "int | str | None"]):
    """For str.translate: what can be in a word stays, of apostrophes there is one, else spaces.

    Soft hyphen, joiners, word joiner and byte order mark are invisible and go; so that a text can
    hold many pieces, the end of a line stays.
    """

    def __missing__(self, code: int) -> int | str:
        """Classify a character when it is first met."""
        is_kept = chr(code).isalnum() or unicodedata.category(chr(code)).startswith("M")
        self[code] = code if is_kept else " "
        return code if is_kept else " "


INVISIBLE = (0xAD, 0x200C, 0x200D, 0x2060, 0xFEFF)
SIMPLER = Simpler(dict.fromkeys(INVISIBLE) | {0x0A: "\n", 0x27: "'", 0x2019: "'"})


def unicode_words(pieces: str) -> Iterator[list[str]]:
    """Cut pieces, each in a line, whose other ASCII is only `0-9 a-z '`, into words.

    A word is letters and digits with the combining marks that follow them; a single apostrophe
    between two of them joins.
    """
    for piece in pieces.translate(SIMPLER).split("\n"):
        yield [word for run in piece.split() for word in words_of(run)]


def words_of(run: str) -> Iterable[str]:
    """Cut a run of letters, digits, combining marks and apostrophes into words."""
    if run[0].isalnum() and "'" not in run:
        return (run,)
    text = []
    in_word = False
    for char in run:
        # A mark that follows no letter separates.
        in_word = char.isalnum() or (in_word and char != "'")
        text.append(char if in_word or char == "'" else " ")
    parts = "".join(text).split()
    return [word for part in parts for word in re.split("''+", part.strip("'")) if word]


# The mark, and a block in which letters have it.
IOTA_SUBSCRIPT = re.compile("[\u0345\u1f80-\u1fff]")


def fold(words: str) -> str:
    """Make words equal, each in a line, that differ in case or in how accents are composed."""
    # Only for the iota subscript it matters whether a text is decomposed when it is casefolded,
    # which takes letters apart again. Nothing composes with the end of a line.
    if IOTA_SUBSCRIPT.search(words):
        words = unicodedata.normalize("NFD", words)
    return unicodedata.normalize("NFC", words.casefold())


def tutorial_words(pieces: str) -> Iterator[list[str]]:
    """Cut pieces, each in a line, at white space; strip ASCII punctuation and byte order marks."""
    for piece in pieces.split("\n"):
        words = [word.strip(string.punctuation + "\ufeff") for word in piece.split()]
        yield [word for word in words if word]


def ascii_table(is_kept: Callable[[str], bool], make: Callable[[str], str]) -> bytes:
    """Build a table for bytes.translate: kept ASCII through `make`, other ASCII to spaces."""
    plain = [make(char) if is_kept(char) else " " for char in map(chr, range(128))]
    return "".join(plain).encode("ascii") + bytes(range(128, 256))


UNICODE_TABLE = ascii_table(lambda c: c.isalnum() or c == "'", str.lower)
TUTORIAL_TABLE = ascii_table(lambda c: not c.isspace(), str)
DEFINITIONS = {
    "unicode": Definition("unicode", UNICODE_TABLE, unicode_words, fold),
    "tutorial": Definition("tutorial", TUTORIAL_TABLE, tutorial_words, str),
}


class Pieces:
    """Counts pieces with the standard library."""

    def __init__(self, table: bytes) -> None:
        self.table = table
        self.counts: Counter[bytes] = Counter()
        self.key_bytes = 0

    def add(self, text: bytes) -> int:
        """Count the pieces of a text that begins and ends between pieces; return the weight."""
        before = len(self.counts)
        self.counts.update(text.translate(self.table).split())
        new = islice(reversed(self.counts), len(self.counts) - before)
        self.key_bytes += sum(map(len, new))
        return len(self.counts) + self.key_bytes // 64

    def take(self) -> tuple[Counter[bytes], Iterator[Batch]]:
        """Return the counts of ASCII letters and digits, and of other pieces; begin anew."""
        counts, self.counts, self.key_bytes = self.counts, Counter(), 0
        others = [piece for piece in counts if not piece.isalnum()]
        return counts, batches_of(others, [counts.pop(piece) for piece in others])


def batches_of(pieces: list[bytes], counts: list[int]) -> Iterator[Batch]:
    """Yield pieces and their counts in batches of about `LINES_BYTES`."""
    start = size = 0
    for stop, piece in enumerate(pieces, 1):
        size += len(piece)
        if size > LINES_BYTES:
            yield pieces[start:stop], counts[start:stop]
            start, size = stop, 0
    yield pieces[start:], counts[start:]


class NativePieces:
    """Counts pieces with the accelerator: the same as `Pieces`, in C."""

    def __init__(self, table: bytes, library: ctypes.CDLL) -> None:
        import ctypes

        self.native = library
        self.buffer = ctypes.create_string_buffer(2 * LONGEST_RUN)
        self.numbers = (ctypes.c_uint64 * BATCH)()
        self.kernel = library.top_words_open(table)
        if not self.kernel:
            raise MemoryError

    def add(self, text: bytes) -> int:
        """Count the pieces of a text that begins and ends between pieces; return the weight."""
        weight = int(self.native.top_words_add(self.kernel, text, len(text)))
        if weight < 0:
            raise MemoryError
        return weight

    def take(self) -> tuple[Counter[bytes], Iterator[Batch]]:
        """Return the counts of ASCII letters and digits, and of other pieces; begin anew."""
        counts: Counter[bytes] = Counter()
        for pieces, numbers in self.batches(are_plain=True):
            dict.update(counts, zip(pieces, numbers, strict=True))
        return counts, self.batches(are_plain=False)

    def batches(self, *, are_plain: bool) -> Iterator[Batch]:
        """Yield the pieces of one kind with their counts; after the second kind all is given."""
        room = (self.buffer, len(self.buffer), self.numbers, len(self.numbers))
        while number := self.native.top_words_take(self.kernel, are_plain, *room):
            yield self.buffer.value.split(), self.numbers[:number]

    def __del__(self) -> None:
        """Free the kernel's memory."""
        self.native.top_words_close(self.kernel)


KERNEL_VERSION = 2


def load_library() -> ctypes.CDLL | None:
    """Return the accelerator if it lies beside this file and can be used here, else None."""
    if sys.platform != "linux":
        return None
    path = Path(__file__).resolve().parent / f"top_words-{os.uname().machine}.so"
    if not path.is_file():
        return None
    import ctypes

    try:
        library = ctypes.CDLL(str(path))
        if library.top_words_version() != KERNEL_VERSION:
            return None
    except (OSError, AttributeError):
        return None  # made for another libc, or something else: the standard library does it
    library.top_words_open.restype = ctypes.c_void_p
    library.top_words_open.argtypes = [ctypes.c_char_p]
    library.top_words_add.restype = ctypes.c_longlong
    library.top_words_add.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.top_words_take.restype = ctypes.c_size_t
    library.top_words_take.argtypes = [
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t),
    ]
    library.top_words_close.restype = None
    library.top_words_close.argtypes = [ctypes.c_void_p]
    return library


def words_in(pieces: Pieces | NativePieces, definition: Definition) -> Counter[bytes]:
    """Take pieces and return the counts of their words."""
    words, batches = pieces.take()
    for batch in batches:
        for found, counts in cut_batch(*batch, definition):
            increase(words, found, counts)
    return words


def cut_batch(pieces: list[bytes], counts: list[int], definition: Definition) -> Iterator[Batch]:
    """Yield the words of pieces, folded, some perhaps twice; bad UTF-8 is decoded to U+FFFD."""
    # Exact, because no word holds an ASCII separator and decoding commutes with cuts at ASCII.
    decoded = b"\n".join(pieces).decode("utf-8", "replace").split("\n")
    are_words = list(map(str.isalnum, decoded))
    others = list(map(not_, are_words))
    cut = definition.cut("\n".join(compress(decoded, others)))
    found = [
        (word, count)
        for words, count in zip(cut, compress(counts, others), strict=False)
        for word in words
    ]
    for words, numbers in (
        (compress(decoded, are_words), list(compress(counts, are_words))),
        ([word for word, _ in found], [count for _, count in found]),
    ):
        yield definition.fold("\n".join(words)).encode().split(), numbers


def increase(held: Counter[bytes], words: Iterable[bytes], counts: Iterable[int]) -> None:
    """Add counts of words, of which some may be there twice."""
    # Faster than Counter.update with a mapping, which is a loop of Python.
    sums = map(add, map(held.get, words, repeat(0)), counts)
    dict.update(held, zip(words, sums, strict=True))


class Words:
    """The words of an input with their counts: in memory, or in sorted runs on disk."""

    def __init__(self, folder: Path, most_weight: int = MOST_WEIGHT) -> None:
        self.folder = folder
        self.most_weight = most_weight
        self.counts: Counter[bytes] = Counter()
        self.runs: list[str] = []

    def add(self, counts: Counter[bytes]) -> None:
        """Add counts; what was added is then this object's own."""
        if self.counts:
            self.absorb(list(counts), list(counts.values()))
        else:
            self.counts = counts
            self.bound()

    def absorb(self, words: list[bytes], counts: list[int]) -> None:
        """Add counts of different words."""
        increase(self.counts, words, counts)
        self.bound()

    def take(self, words: list[bytes], counts: list[int], runs: list[str]) -> None:
        """Add all that other words have, in memory and in runs, which are then this object's."""
        self.runs += runs
        increase(self.counts, words, counts)
        if len(self.counts) > self.most_weight:
            self.spill()

    def forget(self) -> None:
        """Delete the runs."""
        for run in self.runs:
            os.unlink(run)  # noqa: PTH108 - a string

    def bound(self) -> None:
        """Keep what is in memory below the bound, and all of it on disk if some of it is."""
        if self.runs or len(self.counts) > self.most_weight:
            self.spill()

    def spill(self) -> None:
        """Move what is in memory to a new run.

        Raises:
            Refusal: the disk is full, or the folder not writable.
        """
        if self.counts:
            batches, self.counts = sorted_batches(self.counts), Counter()
            self.runs.append(write_run(self.folder, batches))

    def batches(self) -> Iterator[Batch]:
        """Yield every word once, in the order of code points; those in memory stay."""
        if not self.runs:
            yield from sorted_batches(self.counts)
            return
        self.spill()
        while len(self.runs) > MOST_RUNS:
            some, self.runs = self.runs[:MOST_RUNS], self.runs[MOST_RUNS:]
            self.runs.append(write_run(self.folder, merge([read_run(run) for run in some])))
            for run in some:
                os.unlink(run)  # noqa: PTH108 - paths are strings between processes
        yield from merge([read_run(run) for run in self.runs])

    def most_frequent(self, num_words: int) -> list[tuple[bytes, int]]:
        """Return at most `num_words` words with their counts, ties in the order of code points."""
        best = Best(num_words)
        batches = best.watch(self.batches() if self.runs else [self.frequent(num_words)])
        deque(batches, 0)
        return best.words()

    def frequent(self, num_words: int) -> Batch:
        """Return the words in memory that have the `num_words` highest counts."""
        floor = min(heapq.nlargest(num_words, self.counts.values()), default=0)
        chosen = [(word, count) for word, count in self.counts.items() if count >= floor]
        return [word for word, _ in chosen], [count for _, count in chosen]


def sorted_batches(counts: Counter[bytes]) -> Iterator[Batch]:
    """Yield counts in batches, in the order of code points, which is that of UTF-8."""
    words = sorted(counts)
    for start in range(0, len(words), BATCH):
        batch = words[start : start + BATCH]
        yield batch, [counts[word] for word in batch]


class Best:
    """The most frequent of the words that pass by in the order of code points, each once."""

    def __init__(self, num_words: int) -> None:
        self.num_words = num_words
        self.entries: list[tuple[int, bytes]] = []

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches as they are."""
        floor = 0
        for words, counts in batches:
            # Once there are enough, a later word of the least count comes after them.
            found = zip(words, counts, strict=True)
            self.entries += [(-count, word) for word, count in found if count > floor]
            if len(self.entries) > 2 * self.num_words + BATCH:
                self.entries = heapq.nsmallest(self.num_words, self.entries)
                floor = -self.entries[-1][0]
            yield words, counts

    def words(self) -> list[tuple[bytes, int]]:
        """Return at most `num_words` words with their counts, ties in the order of code points."""
        entries = heapq.nsmallest(self.num_words, self.entries)
        return [(word, -negative) for negative, word in entries]


def lines_of(batches: Iterable[Batch]) -> Iterator[bytes]:
    """Yield batches as lines of text: word, tab, count."""
    for words, counts in batches:
        yield b"".join([b"%b\t%d\n" % entry for entry in zip(words, counts, strict=True)])


def parse_lines(stream: BinaryIO) -> Iterator[Batch]:
    """Yield the lines of a stream in batches."""
    rest = b""
    while block := stream.read(LINES_BYTES):
        complete, _, rest = (rest + block).rpartition(b"\n")
        if parts := complete.split():
            yield parts[::2], list(map(int, parts[1::2]))
    if rest:
        raise ValueError(rest)


def write_run(folder: Path, batches: Iterable[Batch]) -> str:
    """Write a sorted run to a new file and return its path.

    Raises:
        Refusal: the disk is full, or the folder not writable.
    """
    import tempfile

    try:
        folder.mkdir(exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=folder)
        with open(descriptor, "wb") as stream:
            stream.writelines(lines_of(batches))
    except OSError as error:
        reason = f"working folder {str(folder.parent)!r}: {error.strerror}"
        raise Refusal(ExitCode.OUTPUT, reason) from error
    return path


def read_run(path: str) -> Iterator[Batch]:
    """Yield the batches of a run."""
    with open(path, "rb", buffering=0) as stream:
        yield from parse_lines(stream)


class Run:
    """A sorted stream of batches, the next of them in hand."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self.rest = batches
        self.words: list[bytes] = []
        self.counts: list[int] = []
        self.start = 0

    def refill(self) -> bool:
        """Take the next batch if the one in hand is used up; return whether there is any."""
        if self.start == len(self.words):
            self.words, self.counts = next(self.rest, ([], []))
            self.start = 0
        return bool(self.words)

    def take(self, last: bytes) -> Iterator[tuple[bytes, int]]:
        """Return the entries of the batch in hand up to the word `last`."""
        start, self.start = self.start, bisect_right(self.words, last, self.start)
        chosen = slice(start, self.start)
        return zip(self.words[chosen], self.counts[chosen], strict=True)


def merge(streams: Iterable[Iterator[Batch]]) -> Iterator[Batch]:
    """Merge sorted streams, adding the counts of equal words; one batch of each is in memory."""
    runs = [Run(stream) for stream in streams]
    while runs := [run for run in runs if run.refill()]:
        last = min(run.words[-1] for run in runs)
        counts: Counter[bytes] = Counter(dict(runs[0].take(last)))
        for run in runs[1:]:
            counts.update(dict(run.take(last)))
        words = sorted(counts)
        yield words, [counts[word] for word in words]


def write_counts(path: Path, definition: Definition, batches: Iterable[Batch]) -> None:
    """Write a counts file: gzip-compressed lines, sorted, under a heading.

    Raises:
        Refusal: the file cannot be written.
    """
    import gzip

    heading = f"{COUNTS_HEADING}{definition.name}\n".encode()
    with (
        refused(ExitCode.OUTPUT, f"counts {str(path)!r}"),
        path.open("wb") as file,
        # Neither name nor time: equal counts make equal files.
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as stream,
    ):
        stream.write(heading)
        for lines in lines_of(batches):
            stream.write(lines)


@contextlib.contextmanager
def refused(exit_code: ExitCode, what: str) -> Iterator[None]:
    """Make errors of the operating system refusals that name what they are about."""
    try:
        yield
    except OSError as error:
        raise Refusal(exit_code, f"{what}: {error.strerror or error}") from error


def definition_of(path: str) -> str:
    """Return the name of the definition of words that a counts file was made with.

    Raises:
        Refusal: the file cannot be read, or is no counts file.
    """
    import gzip
    import zlib

    heading = ""
    with (
        refused(ExitCode.INPUT, f"counts {path!r}"),
        gzip.open(path) as stream,
        contextlib.suppress(EOFError, gzip.BadGzipFile, zlib.error),  # then it is none
    ):
        heading = stream.readline(100).decode("ascii", "replace")
    name = heading.removeprefix(COUNTS_HEADING).strip()
    if not heading.startswith(COUNTS_HEADING) or name not in DEFINITIONS:
        raise Refusal(ExitCode.INPUT, f"counts {path!r}: not a counts file")
    return name


def read_counts(path: str) -> Iterator[Batch]:
    """Yield the batches of a counts file.

    Raises:
        Refusal: the file is cut off, damaged or not sorted.
    """
    import gzip
    import zlib

    last = b""
    with refused(ExitCode.INPUT, f"counts {path!r}"), gzip.open(path) as stream:
        try:
            stream.readline(100)
            for words, counts in parse_lines(stream):  # type: ignore[arg-type]
                check_sorted(last, words, counts)
                last = words[-1]
                yield words, counts
        except (EOFError, ValueError, zlib.error, gzip.BadGzipFile) as error:
            raise Refusal(ExitCode.INPUT, f"counts {path!r}: damaged or not sorted") from error


def check_sorted(last: bytes, words: list[bytes], counts: list[int]) -> None:
    """Check a batch of a counts file that comes after the word `last`.

    Raises:
        ValueError: a word is not greater than the one before it, or its count is none.
    """
    is_sorted = all(map(lt, [last, *words], words))
    if not is_sorted or len(words) != len(counts) or min(counts) < 1:
        raise ValueError(last)


def merge_counts(paths: Sequence[str], words: Words) -> Definition:
    """Add up counts files and return the definition that they share.

    Raises:
        Refusal: a file cannot be read or is none, or they are of different definitions.
    """
    names = {definition_of(path): path for path in paths}
    if len(names) > 1:
        shown = " and ".join(f"{path!r} by {name}" for name, path in sorted(names.items()))
        raise Refusal(ExitCode.INPUT, f"counts of different words: {shown}")
    for start in range(0, len(paths), MOST_RUNS):
        streams = [read_counts(path) for path in paths[start : start + MOST_RUNS]]
        words.runs.append(write_run(words.folder, merge(streams)))
    return DEFINITIONS[names.popitem()[0]]


def whole_pieces(blocks: Blocks, name: str, table: bytes) -> Iterator[bytes]:
    """Yield a text that comes in blocks, cut anywhere, in larger ones cut between pieces.

    Raises:
        Refusal: there is a NUL byte, or more than `LONGEST_RUN` bytes without a separator.
    """
    pending: list[bytes] = []
    held = begin = 0
    for offset, block in blocks:
        if (nul := block.find(0)) >= 0:
            reason = f"input {name!r} is binary: NUL byte at offset {offset + nul}"
            raise Refusal(ExitCode.INPUT, reason)
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


def last_separator(block: bytes, table: bytes) -> int:
    """Return where the last separator in a block is, or -1."""
    near = max(len(block) - 512, 0)
    found = block[near:].translate(table).rfind(b" ")
    return near + found if found >= 0 else block.translate(table).rfind(b" ")


class Task(NamedTuple):
    """How to count, whatever the input."""

    definition: Definition
    processes: int
    folder: Path
    native: ctypes.CDLL | None = None
    most_weight: int = MOST_WEIGHT

    def shared(self, number: int) -> Task:
        """Return the task of one of `number` processes that share the memory."""
        return self._replace(most_weight=max(self.most_weight // number, LEAST_WEIGHT))


def count_blocks(blocks: Blocks, name: str, task: Task) -> Words:
    """Count the words of a text that comes in blocks.

    Raises:
        Refusal: it is no text, or the disk is full.
    """
    table = task.definition.table
    pieces = NativePieces(table, task.native) if task.native else Pieces(table)
    words = Words(task.folder, task.most_weight)
    for text in whole_pieces(blocks, name, table):
        if pieces.add(text) > task.most_weight:
            words.add(words_in(pieces, task.definition))
            words.spill()
    words.add(words_in(pieces, task.definition))
    return words


class File(NamedTuple):
    """A local file of `size` bytes that can be read from any offset."""

    path: str
    size: int

    def blocks(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield the file from an offset on."""
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(offset)
            yield from read_blocks(stream, offset)


def read_blocks(
    stream: BinaryIO, offset: int = 0, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[int, bytes]]:
    """Yield the rest of a stream in blocks with their offsets."""
    while block := stream.read(block_bytes):
        yield offset, block
        offset += len(block)


def clip(blocks: Blocks, first: int, end: int | None, table: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the part of a text that belongs to its range from `first` to before `end`.

    A piece belongs to the range it begins in, so the ranges of a text add up to it. The blocks
    begin one byte before `first`; without an `end` the range goes to the end of the text.
    """
    inside = first == 0
    for offset, block in blocks:
        start = 0
        if not inside:
            start = block.translate(table).find(b" ") + 1
            inside = start > 0
            if not inside:
                continue
            if end is not None and offset + start >= end:
                return
        if end is not None and offset + len(block) >= end:
            stop = block.translate(table).find(b" ", max(start, end - 1 - offset))
            if stop >= 0:
                yield offset + start, block[start : stop + 1]  # it may be a NUL byte
                return
        yield offset + start, block[start:]


def count_ranges(source: File | Blob, first: int, end: int, name: str, task: Task) -> Words:
    """Count the words of a range of a source, in parts, each in a process of its own.

    Raises:
        Refusal: it is no text, the source cannot be read, or the disk is full.
    """
    end = min(end, source.size)
    smallest = SMALLEST_NATIVE_PART if task.native else SMALLEST_PART
    parts = max(1, min(task.processes, (end - first) // smallest))
    part_task = task.shared(parts)
    edges = [first + max(end - first, 0) * number // parts for number in range(parts + 1)]

    def count(part: int) -> Words:
        start, stop = edges[part], edges[part + 1]
        if start >= stop:
            return Words(task.folder)
        table = task.definition.table
        blocks = source.blocks(max(start - 1, 0))
        limit = stop if stop < source.size else None
        with refused(ExitCode.INPUT, f"input {name!r}"):
            return count_blocks(clip(blocks, start, limit, table), name, part_task)

    with in_processes(lambda part: portable(count(part)), range(1, parts)) as children:
        total = count(0)
        total.most_weight = task.most_weight
        for child in children:
            total.take(*child.result())
    return total


def portable(words: Words) -> tuple[list[bytes], list[int], list[str]]:
    """Return words as one process can give them to another."""
    return list(words.counts), list(words.counts.values()), words.runs


@contextlib.contextmanager
def in_processes(work: Callable[[int], Any], items: Iterable[int]) -> Iterator[list[Child]]:
    """Work on items, each in a process of its own; those that still run at the end are stopped."""
    children: list[Child] = []
    try:
        for item in items:
            children.append(Child(work, item))  # noqa: PERF401 - those there are ended if one fails
        yield children
    finally:
        for child in children:
            child.end()


class Child:
    """A forked process that does one piece of work and sends back what it returns."""

    def __init__(self, work: Callable[[int], Any], item: int) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            self.work(work, item, writer)
        os.close(writer)
        self.pipe = open(reader, "rb")  # noqa: SIM115 - `end` closes it

    @staticmethod
    def work(work: Callable[[int], Any], item: int, writer: int) -> NoReturn:
        """Do the work and end the process."""
        import marshal

        status = 1
        try:
            try:
                message = (0, work(item))
            except Exception as error:  # noqa: BLE001 - the parent reports it
                refusal = explain(error)
                message = (int(refusal.exit_code), str(refusal))
            with open(writer, "wb") as pipe:
                marshal.dump(message, pipe, 2)  # without references: no object is there twice
            status = 0
        finally:
            os._exit(status)

    def result(self) -> Any:
        """Wait for the result.

        Raises:
            Refusal: the work was refused, or the process was killed.
        """
        import marshal

        try:
            # Much faster than `load`, which reads a file object by object.
            exit_code, value = marshal.loads(self.pipe.read())  # noqa: S302 - of our own process
        except EOFError as error:
            reason = "a process that counted was killed, perhaps for want of memory"
            raise Refusal(ExitCode.INTERNAL, reason) from error
        if exit_code:
            raise Refusal(ExitCode(exit_code), value)
        return value

    def end(self) -> None:
        """Stop the process if it still runs, and collect it."""
        import signal

        self.pipe.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def available_processors() -> int:
    """Return how many processors this process may use: its affinity and its cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(len(os.sched_getaffinity(0)), int(cgroup_quota() or sys.maxsize)))
    return os.cpu_count() or 1


def cgroup_quota(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """Return the least quota, in processors, of this process's cgroups (version 2), if any."""
    with contextlib.suppress(OSError):
        paths = re.findall(r"^0::/(.*)$", Path(own).read_text(), re.MULTILINE)
        folder = Path(root, *paths[:1])
        quotas = [quota_of(place / "cpu.max") for place in [folder, *folder.parents]]
        return min((quota for quota in quotas if quota), default=None)
    return None


def quota_of(path: Path) -> float | None:
    """Return the quota that a `cpu.max` file sets, in processors; None if it sets none."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = path.read_text().split()
        return int(quota) / int(period)
    return None


def refuse_utf16(head: bytes, name: str) -> None:
    """Check the first two bytes of an input.

    Raises:
        Refusal: they are a byte order mark of UTF-16.
    """
    if head[:2] in UTF16_MARKS:
        raise Refusal(ExitCode.INPUT, f"input {name!r} is UTF-16; only UTF-8 text is read")


def count_stream(stream: BinaryIO, name: str, task: Task) -> Words:
    """Count the words of a stream of text, gzip-compressed or plain.

    Raises:
        Refusal: it is no text, cannot be read, or the disk is full.
    """
    head = stream.read(2)
    if head == GZIP_MARK:
        return count_blocks(gunzip(head, stream, name), name, task)
    refuse_utf16(head, name)
    return count_blocks(chain_head(head, stream), name, task)


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

    offset, member = 0, zlib.decompressobj(31)
    for _, block in chain_head(head, stream):
        # Zeros may fill up what comes after a member.
        data = block.lstrip(b"\0") if member.eof else block
        while data:
            if member.eof:
                member = zlib.decompressobj(31)
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


def count_file(file_path: str, task: Task) -> Words:
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
        is_large = stat.S_ISREG(status.st_mode) and status.st_size >= 2 * SMALLEST_PART
        if is_stdin or not is_large or stream.peek(2)[:2] == GZIP_MARK:
            return count_stream(stream, file_path, task)
        refuse_utf16(stream.peek(2), file_path)
        return count_ranges(File(file_path, status.st_size), 0, status.st_size, file_path, task)


class Location(NamedTuple):
    """A container or blob and the SAS for it: never to be printed."""

    scheme: str
    host: str
    path: str
    sas: str

    def connect(self) -> HTTPConnection:
        """Return a connection to the service, not yet opened."""
        from http.client import HTTPConnection, HTTPSConnection

        kind = HTTPSConnection if self.scheme.lower() == "https" else HTTPConnection
        return kind(self.host, timeout=TIMEOUT_S)


class Answer(NamedTuple):
    """How one request ended."""

    done: bool
    worth_a_retry: bool
    reason: str
    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


def location_from(variable: str, exit_code: ExitCode, what: str) -> Location | None:
    """Return the location that an environment variable holds, or None if it is not set.

    Raises:
        Refusal: the value is no SAS URL; the reason does not repeat it.
    """
    url = os.environ.get(variable, "")
    if not url:
        return None
    match = SAS_URL.fullmatch(url)
    if match is None or not re.fullmatch("[!-~]+", url):
        raise Refusal(exit_code, f"{variable} holds no {what} SAS URL")
    return Location(**match.groupdict())


def container_from_environment() -> Location | None:
    """Return the container to upload to, or None if the environment names none.

    Raises:
        Refusal: the value is no container SAS URL; the reason does not repeat it.
    """
    return location_from(CONTAINER_VARIABLE, ExitCode.UPLOAD, "container")


def ask(
    connection: HTTPConnection,
    request: tuple[str, str, BinaryIO | None, dict[str, str]],
    wanted: int,
) -> Answer:
    """Make one request; redirects are not followed, for the SAS would go with them."""
    from http.client import HTTPException

    method, target, body, headers = request
    try:
        connection.request(method, target, body, {"x-ms-version": STORAGE_VERSION} | headers)
        response = connection.getresponse()
        content = response.read() if response.status == wanted else b""
    except (OSError, HTTPException) as error:
        detail = getattr(error, "strerror", None) or "connection lost"
        return Answer(done=False, worth_a_retry=True, reason=f"{type(error).__name__}: {detail}")
    given = {name.lower(): value for name, value in response.getheaders()}
    answer = judge(response.status, given.get("x-ms-error-code", ""), wanted)
    return answer._replace(body=content, headers=given)


def judge(status: int, error_code: str, wanted: int = CREATED) -> Answer:
    """Tell from an HTTP status and the service's error code whether to try again."""
    shown = error_code if re.fullmatch("[A-Za-z]{1,64}", error_code) else ""
    return Answer(
        done=status == wanted,
        worth_a_retry=status in TIMED_OUT_OR_THROTTLED or status >= SERVER_ERROR,
        reason=f"HTTP {status} {shown}".rstrip(),
        status=status,
    )


def insist(attempt: Callable[[], Answer], pause: Callable[[float], object] = time.sleep) -> Answer:
    """Make a request, again after a failure that may pass; waits 16 s at most in all."""
    answer = attempt()
    for retry in range(RETRIES):
        if answer.done or not answer.worth_a_retry:
            break
        from random import SystemRandom

        # Jitter keeps the many batch tasks of a job from coming back all at once.
        pause(FIRST_DELAY_S * 2**retry * SystemRandom().uniform(0.5, 1))
        answer = attempt()
    return answer


def send(container: Location, name: str, path: Path) -> Answer:
    """Put a file into a blob once."""
    import base64
    import hashlib
    from urllib.parse import quote

    with path.open("rb") as body, contextlib.closing(container.connect()) as connection:
        digest = hashlib.md5(usedforsecurity=False)
        for _, block in read_blocks(body):
            digest.update(block)
        headers = {
            "Content-Length": str(body.tell()),
            "Content-MD5": base64.b64encode(digest.digest()).decode(),
            "Content-Type": CONTENT_TYPES.get(path.suffix, "text/plain; charset=utf-8"),
            "x-ms-blob-type": "BlockBlob",
        }
        body.seek(0)
        target = f"{container.path}/{quote(os.fsencode(name))}?{container.sas}"
        return ask(connection, ("PUT", target, body, headers), CREATED)


CONTENT_TYPES = {".gz": "application/gzip", ".tar": "application/x-tar"}


def upload(
    container: Location,
    name: str,
    path: Path,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Put a file into a blob.

    Raises:
        Refusal: the service refused the blob, or every attempt failed.
    """
    answer = insist(lambda: send(container, name, path), pause)
    if not answer.done:
        raise Refusal(ExitCode.UPLOAD, f"upload of {name!r} failed: {answer.reason}")


class Blob:
    """A blob of `size` bytes that can be read from any offset, as long as it does not change."""

    def __init__(self, location: Location, pause: Callable[[float], object] = time.sleep) -> None:
        self.location = location
        self.pause = pause
        self.headers: dict[str, str] = {}
        self.size = 0
        answer = self.get(0, 1)
        if answer.done:
            self.head = answer.body
            self.size = int(answer.headers["content-range"].rpartition("/")[2])
            self.headers = {"If-Match": answer.headers["etag"]}
        else:
            self.head = b""

    def get(self, first: int, last: int, connection: HTTPConnection | None = None) -> Answer:
        """Get the bytes from `first` to `last`; only an empty blob may have none of them.

        Raises:
            Refusal: the service refused, or every attempt failed.
        """
        link = connection or self.location.connect()
        target = f"{self.location.path}?{self.location.sas}"
        headers = {"Range": f"bytes={first}-{last}"} | self.headers

        def attempt() -> Answer:
            answer = ask(link, ("GET", target, None, headers), PARTIAL_CONTENT)
            if answer.done and not answer.body:
                reason = f"{answer.reason} without content"
                answer = answer._replace(done=False, worth_a_retry=True, reason=reason)
            if not answer.done:
                link.close()
            return answer

        answer = insist(attempt, self.pause)
        if connection is None:
            link.close()
        if not answer.done and (first or answer.status != NO_SUCH_RANGE):
            raise Refusal(ExitCode.INPUT, f"input {INPUT_VARIABLE}: {answer.reason}")
        return answer

    def blocks(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield the blob from an offset on."""
        with contextlib.closing(self.location.connect()) as connection:
            while offset < self.size:
                last = min(offset + DOWNLOAD_BYTES, self.size) - 1
                body = self.get(offset, last, connection).body
                for start in range(0, len(body), BLOCK_BYTES):
                    yield offset + start, body[start : start + BLOCK_BYTES]
                offset += len(body)


def count_blob_range(bounds: tuple[int, int | None], task: Task) -> Words:
    """Count the words that begin in a range of the blob that the environment names.

    Raises:
        Refusal: the blob cannot be read, or is no plain text, or the disk is full.
    """
    location = location_from(INPUT_VARIABLE, ExitCode.INPUT, "blob")
    if location is None:
        raise Refusal(ExitCode.USAGE, f"--range needs a blob SAS URL in {INPUT_VARIABLE}")
    blob = Blob(location)
    refuse_utf16(blob.head, INPUT_VARIABLE)
    if blob.head == GZIP_MARK:
        reason = "is gzip-compressed: it cannot be counted in ranges"
        raise Refusal(ExitCode.INPUT, f"input {INPUT_VARIABLE} {reason}")
    first, last = bounds
    end = blob.size if last is None else last + 1
    return count_ranges(blob, first, end, INPUT_VARIABLE, task)


def range_output(bounds: tuple[int, int | None]) -> Path:
    """Return where the output of a range goes unless told otherwise."""
    first, last = bounds
    return Path(f"range_{first:020}-{'' if last is None else f'{last:020}'}_OUTPUT.txt")


def render(top: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the output file: the words, then the ids that Batch gives to the task."""
    words = b"".join(b"%b\t%d\n" % entry for entry in top)
    lines = [RULE]
    for name in ("Node", "Task", "Job", "Pool"):
        value = os.environ.get(f"AZ_BATCH_{name.upper()}_ID", "")
        lines.append(f"{name}: {' '.join(value.split()) or '-'}")
    ids = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    return f"Word\tCount\n{RULE}\n".encode() + words + ids


def default_output(file_path: str) -> Path:
    """Return where the output goes unless told otherwise: the working directory."""
    name = "stdin.txt" if file_path == "-" else Path(file_path).name
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - Path.suffix differs in Python 3.14
    return Path(f"{stem}_OUTPUT{extension}")


class Targets(NamedTuple):
    """Where the results of one input go; without `counts` there is only the output."""

    output: Path
    counts: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files, the output last: where it is, all is."""
        return [self.counts, self.output] if self.counts else [self.output]


def write(words: Words, definition: Definition, num_words: int, targets: Targets) -> None:
    """Write the counts file, if one is wanted, and the output file.

    Raises:
        Refusal: a file cannot be written.
    """
    if targets.counts:
        best = Best(num_words)
        write_counts(targets.counts, definition, best.watch(words.batches()))
        top = best.words()
    else:
        top = words.most_frequent(num_words)
    body = render(top)
    with refused(ExitCode.OUTPUT, f"output {str(targets.output)!r}"):
        targets.output.write_bytes(body)


def upload_all(container: Location | None, paths: Iterable[Path]) -> None:
    """Upload files under their base names, if there is a container.

    Raises:
        Refusal: an upload failed.
    """
    if container:
        for path in paths:
            upload(container, path.name, path)


class Entry(NamedTuple):
    """One input of a manifest."""

    file_path: str
    targets: Targets


def read_manifest(path: str, others: Sequence[Path] = ()) -> list[Entry]:
    """Read a manifest: in each line a JSON object with `filepath`, and `output`, `counts` if set.

    No two inputs may have files of the same name, nor one of `others`.

    Raises:
        Refusal: it cannot be read, a line is wrong, or two inputs have files of the same name.
    """
    import json

    entries = []
    with refused(ExitCode.INPUT, f"manifest {path!r}"), open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                entries.append(entry_of(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                reason = f"manifest {path!r}, line {number}: no input in it"
                raise Refusal(ExitCode.INPUT, reason) from error
    names = Counter(file.name for entry in entries for file in entry.targets.files)
    names.update(file.name for file in others)
    if twice := [name for name, count in names.items() if count > 1]:
        raise Refusal(ExitCode.INPUT, f"manifest {path!r}: {twice[0]!r} is written twice")
    return entries


def entry_of(fields: Any) -> Entry:
    """Return an entry from its fields.

    Raises:
        ValueError, TypeError, KeyError: one is missing, unknown or no string.
    """
    if not isinstance(fields, dict) or fields.keys() - {"filepath", "output", "counts"}:
        raise ValueError(fields)
    file_path = os.fspath(fields["filepath"])
    output = Path(fields["output"]) if "output" in fields else default_output(file_path)
    return Entry(file_path, Targets(output, Path(fields["counts"]) if "counts" in fields else None))


class Bundle:
    """An archive that holds inputs; nothing of it is written to the disk."""

    def __init__(self, path: str) -> None:
        import tarfile

        with refused(ExitCode.INPUT, f"bundle {path!r}"):
            try:
                self.archive = tarfile.open(path, "r:")  # noqa: SIM115 - as long as the process
                self.members = {member.name: member for member in self.archive.getmembers()}
            except tarfile.TarError as error:
                raise Refusal(ExitCode.INPUT, f"bundle {path!r}: no plain tar archive") from error

    def count(self, name: str, task: Task) -> Words:
        """Count the words of a member.

        Raises:
            Refusal: it is not there, is no file or no text, or the disk is full.
        """
        import tarfile

        member = self.members.get(name)
        stream = self.archive.extractfile(member) if member and member.isreg() else None
        if stream is None:
            raise Refusal(ExitCode.INPUT, f"input {name!r}: no such file in the bundle")
        try:
            with refused(ExitCode.INPUT, f"input {name!r}"):
                return count_stream(stream, name, task)  # type: ignore[arg-type]
        except tarfile.ReadError as error:
            raise Refusal(ExitCode.INPUT, f"input {name!r}: the bundle is cut off") from error


def run_manifest(options: argparse.Namespace, container: Location | None, task: Task) -> None:
    """Count many inputs; write and upload what comes of each, their sum, and the exit records.

    Raises:
        Refusal: inputs failed, or the sum or the records cannot be written or uploaded.
    """
    entries = read_manifest(options.manifest, [options.counts] if options.counts else [])
    share = max(1, min(task.processes, len(entries)))
    # Each process holds the words of one input and, if it is wanted, the sum of those before.
    alone = task.shared(share * (2 if options.counts else 1))
    alone = alone._replace(processes=max(1, task.processes // share))
    direct = None if options.bundle else container

    def work(part: int) -> tuple[list[dict[str, Any]], tuple[list[bytes], list[int], list[str]]]:
        bundle = Bundle(options.bundle) if options.bundle else None
        count = bundle.count if bundle else count_file
        total = Words(alone.folder, alone.most_weight)

        def work_on(entry: Entry) -> None:
            words = count(entry.file_path, alone)
            write(words, alone.definition, options.numwords, entry.targets)
            if options.counts:
                total.take(*portable(words))
            else:
                words.forget()
            upload_all(direct, entry.targets.files)

        return [record_of(entry, work_on) for entry in entries[part::share]], portable(total)

    with in_processes(work, range(1, share)) as children:
        dealt = [work(0), *[child.result() for child in children]]
    records = [dealt[number % share][0][number // share] for number in range(len(entries))]
    if options.counts:
        total = Words(task.folder, task.most_weight)
        for _, part_of_total in dealt:
            total.take(*part_of_total)
        write_counts(options.counts, task.definition, total.batches())
        upload_all(container, [options.counts])
    finish_manifest(options, container, entries, records)


def record_of(entry: Entry, work_on: Callable[[Entry], None]) -> dict[str, Any]:
    """Work on one input and return its exit record."""
    exit_code, reason = ExitCode.OK, ""
    try:
        work_on(entry)
    except Exception as error:  # noqa: BLE001 - the others go on, and the record tells it
        refusal = explain(error)
        exit_code, reason = refusal.exit_code, str(refusal)
    return {
        "filepath": entry.file_path,
        "output": str(entry.targets.output),
        "exit_code": int(exit_code),
        "reason": reason,
    }


def finish_manifest(
    options: argparse.Namespace,
    container: Location | None,
    entries: Sequence[Entry],
    records: Sequence[dict[str, Any]],
) -> None:
    """Write the exit records, upload them, with a bundle in one archive with all the rest.

    Raises:
        Refusal: inputs failed, or the records cannot be written or uploaded.
    """
    import json
    import tarfile

    stem = Path(options.manifest).stem
    last = Path(f"{stem}_EXITS.jsonl")
    with refused(ExitCode.OUTPUT, f"output of {options.manifest!r}"):
        last.write_text("".join(f"{json.dumps(record)}\n" for record in records), "ascii")
        if options.bundle:
            results = [file for entry in entries for file in entry.targets.files]
            good = [file for file in results if file.is_file()]
            archive, exits = Path(f"{stem}_OUTPUT.tar"), last
            with tarfile.open(archive, "w") as tar:
                for path in [exits, *good]:
                    tar.add(path, path.name)
            last = archive
    upload_all(container, [last])
    if failed := [record for record in records if record["exit_code"]]:
        first = failed[0]
        reason = f"{len(failed)} of {len(records)} inputs failed; the first: {first['reason']}"
        raise Refusal(ExitCode(first["exit_code"]), reason)


class Parser(argparse.ArgumentParser):
    """An argument parser that gives its reason in one line."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise Refusal(ExitCode.USAGE, f"{' '.join(message.split())} (see --help)")


def positive(text: str) -> int:
    """Return the whole number in `text`, which must be at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def seconds(text: str) -> float:
    """Return the number of seconds in `text`, from 0 to a week."""
    number = float(text)
    if not 0 <= number <= LONGEST_DELAY_S:
        raise argparse.ArgumentTypeError(f"must be 0 to {LONGEST_DELAY_S} seconds, not {number}")
    return number


def byte_range(text: str) -> tuple[int, int | None]:
    """Return the first and the last byte of a range like `0-99` or, to the end, `100-`."""
    match = re.fullmatch(r"(\d{1,18})-(\d{0,18})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError("must be FIRST-LAST, as in 0-99, or FIRST-")
    first, last = int(match[1]), int(match[2]) if match[2] else None
    if last is not None and last < first:
        raise argparse.ArgumentTypeError(f"must not end before it begins: {text}")
    return first, last


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Raises:
        Refusal: an argument is missing, unknown or out of range.
    """
    parser = Parser(description="Write the most frequent words of a text.", allow_abbrev=False)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--filepath", metavar="FILE", help="a text in UTF-8, or -")
    source.add_argument("--manifest", metavar="FILE", help="many inputs, a JSON object a line")
    source.add_argument("--merge", nargs="+", metavar="COUNTS", help="counts files to add up")
    source.add_argument(
        "--range", type=byte_range, metavar="FIRST-LAST", help=f"of the blob in {INPUT_VARIABLE}"
    )
    parser.add_argument("--numwords", required=True, type=positive, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: <stem>_OUTPUT<ext>")
    parser.add_argument("--counts", type=Path, metavar="FILE", help="all words, for --merge")
    parser.add_argument("--bundle", metavar="TAR", help="holds the inputs of the manifest")
    parser.add_argument("--words", choices=DEFINITIONS, default="unicode", help="what a word is")
    parser.add_argument("--delay", type=seconds, default=0.0, metavar="SECONDS")
    parser.add_argument("--processes", type=positive, metavar="N", help="default: as many as run")
    parser.add_argument("--slots", type=positive, default=1, metavar="N", help="sharing the cores")
    options = parser.parse_args(arguments)
    if options.bundle and not options.manifest:
        parser.error("--bundle needs --manifest")
    if options.manifest and options.output:
        parser.error("--output stands in the lines of --manifest")
    return options


def run(arguments: Sequence[str] | None) -> None:
    """Count, write the results and upload them if the environment names a container.

    Raises:
        Refusal: one of the steps cannot be done.
    """
    options = parse_arguments(arguments)
    container = container_from_environment()
    time.sleep(options.delay)
    processes = options.processes or max(1, available_processors() // options.slots)
    folder = Path(f".top-words-{os.getpid()}").absolute()
    library = None if options.merge else load_library()
    task = Task(DEFINITIONS[options.words], processes, folder, library)
    try:
        if options.manifest:
            run_manifest(options, container, task)
        else:
            run_one(options, container, task)
    finally:
        if folder.exists():
            import shutil

            shutil.rmtree(folder)
    kernel = "the accelerator" if library else "Python"
    sys.stdout.write(f"top_words: counted with {kernel}, at most {processes} processes\n")


def run_one(options: argparse.Namespace, container: Location | None, task: Task) -> None:
    """Count one input, write the results and upload them.

    Raises:
        Refusal: one of the steps cannot be done.
    """
    definition = task.definition
    if options.merge:
        words, output = Words(task.folder), Path("merge_OUTPUT.txt")
        definition = merge_counts(options.merge, words)
    elif options.range:
        words, output = count_blob_range(options.range, task), range_output(options.range)
    else:
        words, output = count_file(options.filepath, task), default_output(options.filepath)
    targets = Targets(options.output or output, options.counts)
    write(words, definition, options.numwords, targets)
    upload_all(container, targets.files)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; every failure is one line on stderr."""
    try:
        run(arguments)
    except Exception as error:  # noqa: BLE001 - its text may hold the SAS, so Python must not print it
        refusal = explain(error)
        sys.stderr.write(f"top_words: {refusal}\n")
        return refusal.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
