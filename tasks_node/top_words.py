"""Count the words of one text and write the most frequent ones to a file.

This is the node program: it runs on the nodes of a pool, or anywhere, alone in its one file. It
needs the standard library of CPython 3.10 or newer and nothing else. The contract (arguments,
environment, output format, exit codes) is in README.md beside it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import enum
import hashlib
import heapq
import http.client
import os
import random
import re
import string
import sys
import time
import traceback
import unicodedata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

BLOCK_BYTES = 256 * 1024
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LONGEST_DELAY_S = 7 * 24 * 3600
RULE = "-" * 30

CONTAINER_VARIABLE = "TOP_WORDS_CONTAINER_URL"
CONTAINER_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?)"
    r"(?P<path>/[^?#]*[^?#/])/?\?(?P<sas>[^#]+)",
    re.ASCII | re.IGNORECASE,
)
STORAGE_VERSION = "2021-12-02"
RETRIES = 5
FIRST_DELAY_S = 0.5
TIMEOUT_S = 60
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


class Definition(NamedTuple):
    """What a word is, in two steps, so that most of a text is never decoded.

    `table` (for bytes.translate) makes a space of every ASCII byte that always separates words;
    what then stands between white space is a piece. `cut` yields the words of a decoded piece.
    """

    table: bytes
    cut: Callable[[str], Iterable[str]]


# Soft hyphen, joiners, word joiner, byte order mark: invisible. Two apostrophes become one.
SIMPLER = dict.fromkeys([0xAD, 0x200C, 0x200D, 0x2060, 0xFEFF]) | {0x2019: "'"}


def unicode_words(piece: str) -> Iterable[str]:
    """Cut a piece, whose ASCII is only `0-9 a-z '`, into words that compare equal when folded.

    A word is letters and digits with the combining marks that follow them; a single apostrophe
    between two of them joins.
    """
    if piece.isascii() and "'" not in piece:
        return (piece,)
    text = []
    in_word = False
    for char in piece.translate(SIMPLER):
        in_word = char.isalnum() or (in_word and unicodedata.category(char).startswith("M"))
        text.append(char if in_word or char == "'" else " ")
    runs = "".join(text).split()
    return [fold(word) for run in runs for word in re.split("''+", run.strip("'")) if word]


def fold(word: str) -> str:
    """Make words equal that differ in case or in how accents are composed."""
    # In this order: casefolding a composed text misses the iota subscript (U+0345), and
    # casefolding takes letters apart again.
    decomposed = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", decomposed.casefold())


def tutorial_words(piece: str) -> Iterator[str]:
    """Cut a piece at white space and strip ASCII punctuation, and the byte order mark, from it."""
    for word in piece.split():
        if bare := word.strip(string.punctuation + "\ufeff"):
            yield bare


def ascii_table(is_kept: Callable[[str], bool], make: Callable[[str], str]) -> bytes:
    """Build a table for bytes.translate: kept ASCII through `make`, other ASCII to spaces."""
    plain = [make(char) if is_kept(char) else " " for char in map(chr, range(128))]
    return "".join(plain).encode("ascii") + bytes(range(128, 256))


DEFINITIONS = {
    "unicode": Definition(ascii_table(lambda c: c.isalnum() or c == "'", str.lower), unicode_words),
    "tutorial": Definition(ascii_table(lambda c: not c.isspace(), str), tutorial_words),
}


def read_text(stream: BinaryIO, name: str, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield a stream in blocks of at most `block_bytes`.

    Raises:
        Refusal: the stream holds UTF-16 or a NUL byte, so it is no UTF-8 text.
    """
    block = stream.read(2)
    if block in UTF16_MARKS:
        raise Refusal(ExitCode.INPUT, f"input {name!r} is UTF-16; only UTF-8 text is read")
    offset = 0
    while block:
        nul = block.find(0)
        if nul >= 0:
            reason = f"input {name!r} is binary: NUL byte at offset {offset + nul}"
            raise Refusal(ExitCode.INPUT, reason)
        yield block
        offset += len(block)
        block = stream.read(block_bytes)


def count_pieces(blocks: Iterable[bytes], table: bytes) -> Counter[bytes]:
    """Count the pieces of a text that comes in blocks, wherever the blocks are cut."""
    counts: Counter[bytes] = Counter()
    pending: list[bytes] = []
    for block in blocks:
        complete, separator, rest = block.translate(table).rpartition(b" ")
        if separator:
            counts.update(b"".join([*pending, complete]).split())
            pending.clear()
        pending.append(rest)
    counts.update(b"".join(pending).split())
    return counts


def count_words(blocks: Iterable[bytes], definition: Definition) -> Counter[str]:
    """Count the words of a text; bytes that are not UTF-8 are decoded to U+FFFD."""
    counts: Counter[str] = Counter()
    # Exact, because no word holds an ASCII separator and decoding commutes with cuts at ASCII.
    for piece, count in count_pieces(blocks, definition.table).items():
        for word in definition.cut(piece.decode("utf-8", "replace")):
            counts[word] += count
    return counts


def most_frequent(counts: Counter[str], num_words: int) -> list[tuple[str, int]]:
    """Return at most `num_words` words with their counts, ties in the order of code points."""
    return heapq.nsmallest(num_words, counts.items(), key=lambda entry: (-entry[1], entry[0]))


def read_counts(file_path: str, definition: Definition) -> Counter[str]:
    """Count the words of a file, or of standard input if its path is `-`.

    Raises:
        Refusal: the input is missing, unreadable or not UTF-8 text.
    """
    is_stdin = file_path == "-"
    try:
        with open(0 if is_stdin else file_path, "rb", closefd=not is_stdin) as stream:
            return count_words(read_text(stream, file_path), definition)
    except OSError as error:
        raise Refusal(ExitCode.INPUT, f"input {file_path!r}: {error.strerror}") from error


def render(top: Iterable[tuple[str, int]]) -> bytes:
    """Return the output file: the words, then the ids that Batch gives to the task."""
    lines = ["Word\tCount", RULE, *(f"{word}\t{count}" for word, count in top), RULE]
    for name in ("Node", "Task", "Job", "Pool"):
        value = os.environ.get(f"AZ_BATCH_{name.upper()}_ID", "")
        lines.append(f"{name}: {' '.join(value.split()) or '-'}")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def default_output(file_path: str) -> Path:
    """Return where the output goes unless told otherwise: the working directory."""
    name = "stdin.txt" if file_path == "-" else Path(file_path).name
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - Path.suffix differs in Python 3.14
    return Path(f"{stem}_OUTPUT{extension}")


def write_output(path: Path, body: bytes) -> None:
    """Write the output file.

    Raises:
        Refusal: the file cannot be written.
    """
    try:
        path.write_bytes(body)
    except OSError as error:
        raise Refusal(ExitCode.OUTPUT, f"output {str(path)!r}: {error.strerror}") from error


class Container(NamedTuple):
    """A blob container and the SAS that allows writing to it: never to be printed."""

    scheme: str
    host: str
    path: str
    sas: str


class Answer(NamedTuple):
    """How one attempt to upload ended."""

    done: bool
    worth_a_retry: bool
    reason: str


def container_from_environment() -> Container | None:
    """Return the container to upload to, or None if the environment names none.

    Raises:
        Refusal: the value is no container SAS URL; the reason does not repeat it.
    """
    url = os.environ.get(CONTAINER_VARIABLE, "")
    if not url:
        return None
    match = CONTAINER_URL.fullmatch(url)
    if match is None or not re.fullmatch("[!-~]+", url):
        raise Refusal(ExitCode.UPLOAD, f"{CONTAINER_VARIABLE} holds no container SAS URL")
    return Container(**match.groupdict())


def send(container: Container, name: str, body: bytes) -> Answer:
    """Put a blob once; redirects are not followed, for the SAS would go with them."""
    is_https = container.scheme.lower() == "https"
    kind = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
    headers = {
        "Content-MD5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        "Content-Type": "text/plain; charset=utf-8",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-version": STORAGE_VERSION,
    }
    target = f"{container.path}/{quote(os.fsencode(name))}?{container.sas}"
    try:
        with contextlib.closing(kind(container.host, timeout=TIMEOUT_S)) as connection:
            connection.request("PUT", target, body, headers)
            response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        detail = getattr(error, "strerror", None) or "connection lost"
        return Answer(done=False, worth_a_retry=True, reason=f"{type(error).__name__}: {detail}")
    return judge(response.status, response.getheader("x-ms-error-code", ""))


def judge(status: int, error_code: str) -> Answer:
    """Tell from an HTTP status and the service's error code whether to try again."""
    shown = error_code if re.fullmatch("[A-Za-z]{1,64}", error_code) else ""
    return Answer(
        done=status == http.client.CREATED,
        worth_a_retry=status in TIMED_OUT_OR_THROTTLED
        or status >= http.client.INTERNAL_SERVER_ERROR,
        reason=f"HTTP {status} {shown}".rstrip(),
    )


def upload(
    container: Container,
    name: str,
    body: bytes,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Put a blob, again after a failure that may pass; blocks 16 s at most between attempts.

    Raises:
        Refusal: the service refused the blob, or every attempt failed.
    """
    answer = send(container, name, body)
    for retry in range(RETRIES):
        if answer.done or not answer.worth_a_retry:
            break
        # Jitter keeps the many batch tasks of a job from coming back all at once.
        pause(FIRST_DELAY_S * 2**retry * random.SystemRandom().uniform(0.5, 1))
        answer = send(container, name, body)
    if not answer.done:
        raise Refusal(ExitCode.UPLOAD, f"upload of {name!r} failed: {answer.reason}")


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


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Raises:
        Refusal: an argument is missing, unknown or out of range.
    """
    parser = Parser(description="Write the most frequent words of a text.", allow_abbrev=False)
    parser.add_argument("--filepath", required=True, metavar="FILE", help="a text in UTF-8, or -")
    parser.add_argument("--numwords", required=True, type=positive, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: <stem>_OUTPUT<ext>")
    parser.add_argument("--words", choices=DEFINITIONS, default="unicode", help="what a word is")
    parser.add_argument("--delay", type=seconds, default=0.0, metavar="SECONDS")
    return parser.parse_args(arguments)


def run(arguments: Sequence[str] | None) -> None:
    """Count, write the output and upload it if the environment names a container.

    Raises:
        Refusal: one of the steps cannot be done.
    """
    options = parse_arguments(arguments)
    container = container_from_environment()
    time.sleep(options.delay)
    counts = read_counts(options.filepath, DEFINITIONS[options.words])
    output = options.output or default_output(options.filepath)
    body = render(most_frequent(counts, options.numwords))
    write_output(output, body)
    if container:
        upload(container, output.name, body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; every failure is one line on stderr."""
    try:
        run(arguments)
    except Refusal as refusal:
        sys.stderr.write(f"top_words: {refusal}\n")
        return refusal.exit_code
    except Exception as error:  # noqa: BLE001 - its text may hold the SAS, so Python must not print it
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        sys.stderr.write(f"top_words: internal error: {type(error).__name__} at {where}\n")
        return ExitCode.INTERNAL
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
