"""What a person sees on a terminal: progress, questions, the result."""

import logging
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from prefect_azure_batch.model.left_out import LeftOut, left_out_in_words
from prefect_azure_batch.model.output_record import CSV_NAME, JSON_NAME
from prefect_azure_batch.plain_text import json_text, one_line
from prefect_azure_batch.service.signals import PAUSE_SLICE_S, check_signals, current_signals
from prefect_azure_batch.settings import CleanUpPolicy, Policy

ENGINE_MODULES = frozenset({"flow_engine", "task_engine"})
# Of more inputs nobody reads a table on a terminal.
MOST_INPUTS = 20


class FlowResult(Protocol):
    """What a flow of a command returns."""

    @property
    def num_inputs(self) -> int:
        """How many inputs it is of."""

    @property
    def plan(self) -> Mapping[str, str]:
        """If only a plan was asked for: what a run would create, by title."""

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """What folders, globs and prefixes stand for and was not worked on."""


def show_steps_only() -> None:
    """Keep the engine's own lines off the terminal: its tracebacks would hide the one error."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.module not in ENGINE_MODULES)


@contextmanager
def asked_here(hide: Callable[[], None], *, wanted: bool) -> Iterator[CleanUpPolicy]:
    """Give the policy of the clean-up: with questions on this terminal, or the default.

    Args:
        hide: clears the terminal for a question.
        wanted: whether to ask.
    """
    if not wanted:
        yield CleanUpPolicy()
        return
    from prefect_azure_batch.ownership.question import on_question  # noqa: PLC0415 - imports Prefect

    def question(names: Mapping[str, str], timeout_s: int) -> Mapping[str, bool]:
        """Ask about each of them."""
        hide()
        return ask_on_terminal(names, timeout_s)

    token = on_question.set(question)
    try:
        yield CleanUpPolicy(job=Policy.ASK, pool=Policy.ASK)
    finally:
        on_question.reset(token)


def ask_on_terminal(names: Mapping[str, str], timeout_s: int) -> dict[str, bool]:
    """Ask what to delete; Enter means yes, `n` keeps, and Ctrl-C or no answer is Enter for all.

    Args:
        names: what is asked about, by kind.
        timeout_s: seconds for all answers together.
    """
    said = dict.fromkeys(names, True)
    deadline = time.monotonic() + timeout_s
    try:
        for kind, name in names.items():
            sys.stderr.write(f"Delete {kind} {name}? [Y/n] ")
            sys.stderr.flush()
            if not _is_answered(deadline):
                break
            said[kind] = not sys.stdin.readline().strip().lower().startswith("n")
    except KeyboardInterrupt:
        if signals := current_signals():
            signals.take_interrupt()
        said = dict.fromkeys(names, True)
        sys.stderr.write("\nnothing is kept\n")
    return said


def _is_answered(deadline: float) -> bool:
    """Wait for a line on standard input; tell whether there is one.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    while (left_s := deadline - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], min(left_s, PAUSE_SLICE_S))[0]:
            return True
        check_signals()
    return False


@contextmanager
def shown_progress() -> Iterator[Callable[[], None]]:
    """Show how far the batch tasks are as a bar, if standard error is a terminal; give its end."""
    from prefect_azure_batch.running.progress import Progress, on_progress  # noqa: PLC0415 - imports Prefect

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with ProgressBar(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        level = bar.add_task("batch tasks", total=None)

        def show(progress: Progress) -> None:
            """Move the bar."""
            text = f"batch tasks ({progress.running} running, {progress.failed} failed)"
            bar.update(level, completed=progress.completed, total=progress.total, description=text)

        token = on_progress.set(show)
        try:
            yield bar.stop
        finally:
            on_progress.reset(token)


@dataclass
class ResultFiles:
    """The files of a run beside its outputs, as it left them; others may write there afterwards.

    Attributes:
        folder: the output folder; None as long as there are no results.
        json: `results.json`, open.
    """

    folder: Path | None = None
    json: TextIO | None = None

    def take(self, folder: Path) -> None:
        """Open what is in a folder."""
        self.folder = folder
        self.json = (folder / JSON_NAME).open(encoding="utf-8")


@contextmanager
def result_files() -> Iterator[ResultFiles]:
    """Give the files of the run in the block; they are closed when nobody has them any more."""
    from prefect_azure_batch.collecting.publish import on_results  # noqa: PLC0415 - imports Prefect

    files = ResultFiles()
    token = on_results.set(files.take)
    try:
        yield files
    finally:
        on_results.reset(token)


def table_of(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Table:
    """Return a table for a terminal; what is in its cells is shown, and never obeyed.

    Args:
        columns: their titles.
        rows: the cells of each, in the order of the columns.
    """
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(cell, row.values()))
    # Whole, over as many lines as it takes.
    for column in table.columns:
        column.overflow = "fold"
    return table


def cell(value: object) -> str:
    """Return what a cell of a table shows: neither markup nor control characters do anything."""
    return escape(one_line(str(value)))


def print_result(
    result: FlowResult, table: Callable[[int], Table], began: datetime, folder: Path | None
) -> None:
    """Print the plan, or what was found, and from when to when it all took.

    Args:
        result: what the flow returned.
        table: gives the rows of the first inputs, at most so many.
        began: when the command did.
        folder: where all results are.
    """
    console = Console(highlight=False)
    if result.plan:
        plan = Table("Would create", "", show_header=False)
        for row in result.plan.items():
            plan.add_row(*map(cell, row))
        console.print(plan)
        return
    console.print(table(MOST_INPUTS))
    if result.num_inputs > MOST_INPUTS:
        left_out = result.num_inputs - MOST_INPUTS
        where = f": see {cell(folder / CSV_NAME)}" if folder else ""
        console.print(f"and {left_out} inputs more{where}")
    if result.left_out:
        where = f"; all: {cell(folder / JSON_NAME)}" if folder else ""
        console.print(f"left out, {cell(left_out_in_words(result.left_out))}{where}")
    ended = datetime.now().astimezone()
    console.print(
        f"{result.num_inputs} inputs; {began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S}, "
        f"{(ended - began).total_seconds():.1f} s"
    )


def print_json(result: FlowResult, file: TextIO | None) -> None:
    """Print the plan, or the run's `results.json`."""
    if result.plan:
        sys.stdout.write(json_text(dict(result.plan), indent=2) + "\n")
        return
    if file:
        with file:
            shutil.copyfileobj(file, sys.stdout)
