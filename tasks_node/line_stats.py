"""An example of a program of your own: the lines of a UTF-8 text, as JSON.

    python3 line_stats.py [--matching REGEX]... INPUT OUTPUT

OUTPUT gets the bytes, the number of lines, the longest line with its number, and how many lines
each expression is found in. Exit code 0: it is written. 2: an argument is wrong. 3: INPUT is not
UTF-8 text, or a file is not readable or writable; standard error says so in one line. A line is
held in memory, the text is not.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence

Stats = dict[str, int | str | dict[str, int]]


def main() -> int:
    """Read INPUT, write OUTPUT.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description="Write the statistics of a text's lines as JSON.")
    parser.add_argument("--matching", metavar="REGEX", type=expression, action="append", default=[])
    parser.add_argument("input", metavar="INPUT")
    parser.add_argument("output", metavar="OUTPUT")
    given = parser.parse_args()
    try:
        with open(given.input, "rb") as lines:
            stats = stats_of(lines, given.matching)
        with open(given.output, "w", encoding="utf-8") as file:
            json.dump(stats, file, ensure_ascii=False, indent=2)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"line_stats.py: {given.input}: {error}\n")
        return 3
    return 0


def expression(text: str) -> "re.Pattern[str]":
    """Return a regular expression.

    Raises:
        ArgumentTypeError: it cannot be read as one.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a regular expression: {error}"
        ) from error


def stats_of(lines: Iterable[bytes], expressions: Sequence["re.Pattern[str]"] = ()) -> Stats:
    """Return the statistics of lines.

    Args:
        lines: UTF-8, with their ends.
        expressions: what is looked for in each, without its end.

    Raises:
        UnicodeDecodeError: a line is not UTF-8.
    """
    num_bytes = number = longest_number = 0
    longest = ""
    matching = {found.pattern: 0 for found in expressions}
    distinct = dict.fromkeys(expressions)
    for number, line in enumerate(lines, start=1):
        num_bytes += len(line)
        text = line.decode().rstrip("\r\n")
        if len(text) > len(longest):
            longest, longest_number = text, number
        for found in distinct:
            matching[found.pattern] += found.search(text) is not None
    return {
        "bytes": num_bytes,
        "lines": number,
        "longest_line": longest,
        "longest_line_number": longest_number,
        "matching": matching,
    }


if __name__ == "__main__":
    sys.exit(main())
