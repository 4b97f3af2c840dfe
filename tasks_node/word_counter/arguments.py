"""The command line, and the names of the environment variables that hold URLs."""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from word_counter.encodings import UTF_8, encoding_named
from word_counter.refusals import ExitCode, Refusal
from word_counter.tokenizer import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTAINER_VARIABLE = "TOP_WORDS_CONTAINER_URL"
INPUT_VARIABLE = "TOP_WORDS_INPUT_URL"
LONGEST_DELAY_S = 7 * 24 * 3600
# argparse makes a formatter for each argument that is added; one that fits the terminal would
# import modules that nothing but the help needs.
UNFITTED = partial(argparse.HelpFormatter, width=80)


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


def encoding(text: str) -> str:
    """Return the name that Python has for an encoding."""
    try:
        return encoding_named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"Python knows no encoding {text!r}") from error


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Raises:
        Refusal: an argument is missing, unknown or out of range.
    """
    parser = Parser(
        description="Write the most frequent words of a text.",
        allow_abbrev=False,
        formatter_class=UNFITTED,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--filepath", metavar="FILE", help="a text, or -")
    source.add_argument("--manifest", metavar="FILE", help="many inputs, a JSON object a line")
    source.add_argument("--merge", nargs="+", metavar="COUNTS", help="counts files to add up")
    source.add_argument(
        "--range", type=byte_range, metavar="FIRST-LAST", help=f"of the blob in {INPUT_VARIABLE}"
    )
    parser.add_argument("--numwords", required=True, type=positive, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: <stem>_OUTPUT<ext>")
    parser.add_argument("--counts", type=Path, metavar="FILE", help="all words, for --merge")
    parser.add_argument("--bundle", metavar="TAR", help="holds the inputs of the manifest")
    parser.add_argument("--encoding", type=encoding, default=UTF_8, help="of the texts")
    parser.add_argument("--on-undecodable", choices=("warn", "refuse"), default="warn")
    parser.add_argument("--words", choices=DEFINITIONS, default="unicode", help="what a word is")
    parser.add_argument("--delay", type=seconds, default=0.0, metavar="SECONDS")
    parser.add_argument("--processes", type=positive, metavar="N", help="default: as many as run")
    parser.add_argument("--slots", type=positive, default=1, metavar="N", help="sharing the cores")
    parser.formatter_class = argparse.HelpFormatter
    options = parser.parse_args(arguments)
    if options.bundle and not options.manifest:
        parser.error("--bundle needs --manifest")
    if options.manifest and options.output:
        parser.error("--output is set in the lines of --manifest")
    return options
