"""Reading what the word counter writes; only the most frequent words are held."""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from flows.word_count.result import TOTAL_NAME, Result, WordCounts
from prefect_azure_batch import InputFile, OutputUnreadable, left_out_of, output_name_of


def read_result(folder: Path, inputs: Sequence[InputFile], *, has_total: bool) -> Result:
    """Return the words and counts of each output, by the input's name, and those of all.

    Args:
        folder: where the outputs are.
        inputs: what was counted.
        has_total: whether the inputs were added up.

    Raises:
        OutputUnreadable: an output is not in the node program's format.
    """
    words = {source.name: read_words(folder / output_name_of(source.name)) for source in inputs}
    return Result(
        words,
        read_words(folder / TOTAL_NAME) if has_total else None,
        sources={source.name: source.source for source in inputs},
        left_out=left_out_of(inputs),
    )


def read_words(path: Path) -> WordCounts:
    """Return the words of an output file: the lines between its two rules.

    Raises:
        OutputUnreadable: it is not in the node program's format.
    """
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        words: WordCounts = []
        for line in _between_rules(line.rstrip("\n") for line in lines):
            word, _, count = line.partition("\t")
            if not count.isdecimal():
                raise OutputUnreadable(path.name, line)
            # Many inputs have the same frequent words: one object each is enough.
            words.append((sys.intern(word), int(count)))
    return words


def _between_rules(lines: Iterator[str]) -> Iterator[str]:
    deque(takewhile(lambda line: not _is_rule(line), lines), 0)
    return takewhile(lambda line: not _is_rule(line), lines)


def _is_rule(line: str) -> bool:
    return line != "" and not line.strip("-")
