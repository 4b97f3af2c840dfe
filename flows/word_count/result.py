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
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        words: by the input's name, in the order of the inputs; empty if only a plan was asked for,
            or a program of the user's own was run.
        total: of all inputs together; None unless it was asked for.
        undecodable: bytes that could not be decoded, by the input's name, where there are any.
        outputs: of a program of the user's own, by the input's name, in the order of the inputs.
        plan: if only a plan was asked for: what a run would create, by title.
        sources: where the inputs are from, by their names: paths, or `az://container/name`.
        left_out: what folders, globs and prefixes stand for and was not counted.
    """

    words: dict[str, WordCounts]
    total: WordCounts | None = None
    outputs: Mapping[str, OutputRow] = field(default_factory=dict)
    plan: Mapping[str, str] = field(default_factory=dict)
    undecodable: Mapping[str, int] = field(default_factory=dict)
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
        return ("Input", "Word", "Count", "", *self._titles)

    def page_rows(self, num_inputs: int) -> Iterator[Mapping[str, Cell]]:
        """Yield one row for each word, with a bar; the total first."""
        most: dict[Cell, int] = {}
        for row in self._rows(num_inputs):
            # Of each input the most frequent word comes first.
            count = int(row["count"])
            most.setdefault(row["input"], count)
            yield {**row, "bar": bar(count, most[row["input"]]), **self._cells(row)}

    def table_columns(self) -> Sequence[str]:
        """Return the titles of the columns of a table; undecodable bytes only if there are any."""
        return ("Input", "Word", "Count", *self._titles)

    def table_rows(self, num_inputs: int) -> Iterator[Mapping[str, Cell]]:
        """Yield one row for each word of the first inputs; the total first."""
        for row in self._rows(num_inputs):
            yield {**row, **self._cells(row)}

    def _rows(self, num_inputs: int) -> Iterator[Mapping[str, Cell]]:
        total = {} if self.total is None else {TOTAL_TITLE: self.total}
        yield from table_rows(total | dict(islice(self.words.items(), num_inputs)))

    @property
    def _titles(self) -> Sequence[str]:
        return ("Undecodable bytes", "Source") if self.undecodable else ("Source",)

    def _cells(self, row: Mapping[str, Cell]) -> Mapping[str, Cell]:
        name = str(row["input"])
        bad_bytes = {"undecodable_bytes": self._bad_bytes(name)} if self.undecodable else {}
        return {**bad_bytes, "source": self.sources.get(name, "")}

    def _bad_bytes(self, name: str) -> int:
        if name == TOTAL_TITLE:
            return sum(self.undecodable.values())
        return self.undecodable.get(name, 0)

    def warning(self, encoding: str) -> str:
        """Return how many bytes of which inputs could not be decoded; empty if all could."""
        if not self.undecodable:
            return ""
        worst = sorted(self.undecodable.items(), key=lambda item: -item[1])
        named = ", ".join(f"{name!r} ({number})" for name, number in worst[:MOST_NAMED])
        more = f" and {len(worst) - MOST_NAMED} more" if len(worst) > MOST_NAMED else ""
        return (
            f"{self._bad_bytes(TOTAL_TITLE)} bytes of {len(worst)} input(s) are not {encoding}, so "
            f"that words are missing or wrong: {named}{more}; name the encoding (job.encoding, "
            "--encoding), or refuse such inputs (job.on_undecodable)"
        )

    def csv_columns(self) -> Sequence[str]:
        """Return the names of the columns of `results.csv`."""
        return ("input", "word", "count", "undecodable_bytes", "source")

    def csv_rows(self) -> Iterator[Sequence[Cell]]:
        """Yield one row for each word; those of the total have no input."""
        whole = self._bad_bytes(TOTAL_TITLE)
        for word, count in self.total or ():
            yield "", word, count, whole, ""
        for name, counts in self.words.items():
            bad, source = self.undecodable.get(name, 0), self.sources.get(name, "")
            # What has undecodable bytes has a row, even without a word.
            for word, count in counts or [("", 0)] * (bad > 0):
                yield name, word, count, bad, source

    def json_fields(self) -> Mapping[str, object]:
        """Return the total, and the inputs with bytes that could not be decoded."""
        return {"total": self.total, "undecodable_bytes": dict(self.undecodable)}

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
