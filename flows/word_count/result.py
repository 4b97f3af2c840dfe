"""The words that were found, for people, files and programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from prefect_azure_batch import Cell, LeftOut, OutputRow

WordCounts = list[tuple[str, int]]
"""Words and how often each occurs, the most frequent first."""

TOTAL_NAME = "all-inputs.txt"
"""Output of the total over all inputs; no output of an input can have this name."""
TOTAL_TITLE = "(all inputs)"
BLOCKS = "▏▎▍▌▋▊▉█"
BAR_WIDTH = 20


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        words: by the input's name, in the order of the inputs; empty if only a plan was asked for,
            or a program of the user's own was run.
        total: of all inputs together; None unless it was asked for.
        outputs: of a program of the user's own, by the input's name, in the order of the inputs.
        plan: if only a plan was asked for: what a run would create, by title.
        sources: where the inputs are from, by their names: paths, or `az://container/name`.
        left_out: what folders, globs and prefixes stand for and was not counted.
    """

    words: dict[str, WordCounts]
    total: WordCounts | None = None
    outputs: Mapping[str, OutputRow] = field(default_factory=dict)
    plan: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[LeftOut] = ()

    key = "top-words"
    title = "Words"
    table_title = "Most frequent words"
    json_title = "inputs"

    @property
    def num_inputs(self) -> int:
        """How many inputs it is of."""
        return len(self.words or self.outputs)

    def page_columns(self) -> Sequence[str]:
        """Return the titles of the columns of a page."""
        return ("Input", "Word", "Count", "", "Source")

    def page_rows(self, num_inputs: int) -> Iterator[Mapping[str, Cell]]:
        """Yield one row for each word, with a bar; the total first."""
        shown = {name: self.words[name] for name in islice(self.words, num_inputs)}
        groups = [(TOTAL_TITLE, self.total)] if self.total is not None else []
        for name, counts in [*groups, *shown.items()]:
            most = max((count for _, count in counts), default=0)
            for row in table_rows({name: counts}):
                source = self.sources.get(name, "")
                yield {**row, "bar": bar(int(row["count"]), most), "source": source}

    def csv_columns(self) -> Sequence[str]:
        """Return the names of the columns of `results.csv`."""
        return ("input", "word", "count", "source")

    def csv_rows(self) -> Iterator[Sequence[Cell]]:
        """Yield one row for each word; those of the total have no input."""
        total = [("", self.total)] if self.total else []
        for name, counts in (*total, *self.words.items()):
            source = self.sources.get(name, "")
            yield from ((name, word, count, source) for word, count in counts)

    def json_fields(self) -> Mapping[str, object]:
        """Return the total."""
        return {"total": self.total}

    def json_items(self) -> Iterator[tuple[str, object]]:
        """Yield each input with where it is from, and its words."""
        for name, counts in self.words.items():
            yield name, {"source": self.sources.get(name, ""), "words": counts}


def bar(part: int, whole: int) -> str:
    """Return a bar of block characters, `BAR_WIDTH` wide if part and whole are equal."""
    eighths = max(1, round(part * BAR_WIDTH * 8 / whole)) if part else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (BLOCKS[rest - 1] if rest else "")


def table_rows(words: Mapping[str, WordCounts]) -> Iterator[dict[str, Cell]]:
    """Yield one row per input and word; an input without words has one row that says so."""
    for name, counts in words.items():
        for word, count in counts or [("(no words)", 0)]:
            yield {"input": name, "word": word, "count": count}
