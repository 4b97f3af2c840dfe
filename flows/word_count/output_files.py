"""Reading what the word counter writes; only the most frequent words are held."""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from flows.word_count.output_names import words_name_of
from flows.word_count.result import TOTAL_NAME, Result, WordCounts
from prefect_azure_batch import InputFile, OutputUnreadable, left_out_of

UNDECODABLE = "Undecodable bytes"


def read_result(folder: Path, inputs: Sequence[InputFile], *, has_total: bool) -> Result:
    """Return the words and counts of each output, by the input's name, and those of all.

    Args:
        folder: where the outputs are.
        inputs: what was counted.
        has_total: whether the inputs were added up.

    Raises:
        OutputUnreadable: an output is not in the node program's format.
    """
    words, undecodable = {}, {}
    for source in inputs:
        words[source.name], number = read_output(folder / words_name_of(source.name))
        if number:
            undecodable[source.name] = number
    return Result(
        words,
        read_words(folder / TOTAL_NAME) if has_total else None,
        undecodable=undecodable,
        sources={source.name: source.source for source in inputs},
        left_out=left_out_of(inputs),
    )


def read_words(path: Path) -> WordCounts:
    """Return the words of an output file.

    Raises:
        OutputUnreadable: it is not in the node program's format.
    """
    return read_output(path)[0]


def read_output(path: Path) -> tuple[WordCounts, int]:
    """Return the words of an output file, and how many bytes of its input were not decoded.

    The words are the lines between its two rules.

    Raises:
        OutputUnreadable: it is not in the node program's format.
    """
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        words: WordCounts = []
        rest = (line.rstrip("\n") for line in lines)
        for line in _between_rules(rest):
            word, _, count = line.partition("\t")
            if not count.isdecimal():
                raise OutputUnreadable(path.name, line)
            # Many inputs have the same frequent words: one object each is enough.
            words.append((sys.intern(word), int(count)))
        notes = dict(line.partition(": ")[::2] for line in rest)
    return words, int(notes.get(UNDECODABLE, 0))


def _between_rules(lines: Iterator[str]) -> Iterator[str]:
    deque(takewhile(lambda line: not _is_rule(line), lines), 0)
    return takewhile(lambda line: not _is_rule(line), lines)


def _is_rule(line: str) -> bool:
    return line != "" and not line.strip("-")
