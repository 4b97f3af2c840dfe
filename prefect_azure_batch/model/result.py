"""How batch tasks end, and what a run finds: rows for people, files and programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Protocol, overload

from prefect_azure_batch.model.left_out import LeftOut
from prefect_azure_batch.model.tasks import InputFile, Level, left_out_of

Cell = str | int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a batch task ended.

    Attributes:
        batch_task_id: which one.
        succeeded: what the service calls its result, and an exit code of 0.
        exit_code: of the last try; None if the program never ran.
        category: the failure's, lower case: `usererror`, `servererror`; empty after a success.
        code: the failure's, such as `FailureExitCode`; empty after a success.
        message: the failure's, without signatures; empty after a success.
        node_id: where it ran last, empty if nowhere.
        num_retries: how often Batch ran the program again after it failed.
        num_requeues: how often Batch ran it again because its node was lost.
        run_time_s: seconds from the start to the end of the last try.
    """

    batch_task_id: str
    succeeded: bool
    exit_code: int | None = None
    category: str = ""
    code: str = ""
    message: str = ""
    node_id: str = ""
    num_retries: int = 0
    num_requeues: int = 0
    run_time_s: float = 0.0

    @property
    def reason(self) -> str:
        """Code and message of the failure, empty after a success."""
        return ": ".join(filter(None, (self.code, self.message)))


@dataclass(frozen=True, slots=True)
class Failure:
    """A batch task that failed, or inputs of one with many of them.

    Attributes:
        inputs: what has no result for it.
        ending: how the batch task ended; for one of many inputs, its own exit code and reason.
        last_line: of stderr, without signatures; empty if there is none.
    """

    inputs: tuple[str, ...]
    ending: Ending
    last_line: str = ""


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How one of many inputs of a batch task ended.

    Attributes:
        name: the input's.
        exit_code: as the program's for this input alone.
        reason: why it failed, without signatures; empty after a success.
    """

    name: str
    exit_code: int
    reason: str


class ResultTables(Protocol):
    """What a run found, as the reports show it.

    Attributes:
        key: of the artifact with the table, such as `outputs`.
        title: what the tables hold, in a word, such as `Outputs`.
        table_title: the same for the artifact's description.
        json_title: under which `results.json` has what was found for each input.
    """

    key: str
    title: str
    table_title: str
    json_title: str

    @property
    def num_inputs(self) -> int:
        """How many inputs it is of."""

    def page_columns(self) -> Sequence[str]:
        """Return the titles of the columns of a page."""

    def page_rows(self, num_inputs: int) -> Iterator[Mapping[str, Cell]]:
        """Yield rows for a page, of the first inputs only."""

    def csv_columns(self) -> Sequence[str]:
        """Return the names of the columns of `results.csv`."""

    def csv_rows(self) -> Iterator[Sequence[Cell]]:
        """Yield the rows of `results.csv`."""

    def json_fields(self) -> Mapping[str, object]:
        """Return what `results.json` says beside the inputs."""

    def json_items(self) -> Iterator[tuple[str, object]]:
        """Yield each input with what `results.json` says of it."""


@dataclass(frozen=True, slots=True)
class OutputRow:
    """What a run made of one input.

    Attributes:
        source: the input as it was given, or found by what was given: a path, or
            `az://container/name`.
        name: the input's name in the run.
        path: where its output is on this machine.
        size: bytes of the output.
    """

    source: str
    name: str
    path: str
    size: int


@dataclass(frozen=True)
class Outputs(Sequence[OutputRow]):
    """The outputs of a run, in the order of its inputs.

    Attributes:
        rows: one for each input.
        plan: if only a plan was asked for: what a run would create, by title.
        left_out: what folders, globs and prefixes stand for and was not worked on.
    """

    rows: Sequence[OutputRow] = ()
    plan: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[LeftOut] = ()

    key = "outputs"
    title = "Outputs"
    table_title = "Outputs"
    json_title = "outputs"

    def __len__(self) -> int:
        """Return how many outputs there are."""
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> OutputRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[OutputRow]: ...
    def __getitem__(self, index: int | slice) -> OutputRow | Sequence[OutputRow]:
        """Return a row, or some of them."""
        return self.rows[index]

    @property
    def num_inputs(self) -> int:
        """How many inputs they are of."""
        return len(self.rows)

    def page_columns(self) -> Sequence[str]:
        """Return the titles of the columns of a page."""
        return ("Input", "Output", "Bytes", "Folder", "Source")

    def page_rows(self, num_inputs: int) -> Iterator[Mapping[str, Cell]]:
        """Yield one row for each of the first inputs: its output, bytes, and where."""
        for row in self.rows[:num_inputs]:
            yield {"input": row.name, **_output_cells(row)}

    def csv_columns(self) -> Sequence[str]:
        """Return the names of the columns of `results.csv`."""
        return ("input", "output", "bytes", "folder", "source")

    def csv_rows(self) -> Iterator[Sequence[Cell]]:
        """Yield the rows of `results.csv`."""
        for row in self.rows:
            yield (row.name, *_output_cells(row).values())

    def json_fields(self) -> Mapping[str, object]:
        """Return nothing: there is nothing beside the outputs."""
        return {}

    def json_items(self) -> Iterator[tuple[str, object]]:
        """Yield each input with its output."""
        for row in self.rows:
            yield row.name, _output_cells(row)


def _output_cells(row: OutputRow) -> dict[str, Cell]:
    path = PurePath(row.path)
    folder = str(path.parent)
    return {"output": path.name, "bytes": row.size, "folder": folder, "source": row.source}


def outputs_of(folder: Path, inputs: Sequence[InputFile], level: Level) -> Outputs:
    """Return the output of each input, where each has a batch task with one result.

    Args:
        folder: where the outputs are.
        inputs: what was worked on.
        level: the batch tasks, in the order of the inputs.
    """
    pairs = zip(inputs, level, strict=True)
    rows = tuple(_row(source, folder / planned.results[0]) for source, planned in pairs)
    return Outputs(rows, left_out=left_out_of(inputs))


def _row(source: InputFile, path: Path) -> OutputRow:
    return OutputRow(source.source, source.name, str(path), path.stat().st_size)
