"""`batch-map`: a program over many files; with `blocks` and `janitor` as commands of their own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.table import Table

from prefect_azure_batch.command_line import blocks, janitor
from prefect_azure_batch.command_line.app import CommandLine, exit_code_of
from prefect_azure_batch.command_line.options import BatchTaskOptions, RunFlags
from prefect_azure_batch.command_line.terminal import table_of
from prefect_azure_batch.workloads.python_program import PythonProgram

if TYPE_CHECKING:
    from prefect_azure_batch.model.result import Outputs

EXAMPLES = """    batch-map --local line_stats.py data/*.txt            without any account
    batch-map "fit.py --fast" data --output-suffix .json  arguments of the program
    batch-map fit.py az://tables/2026 --plan              what it would create
    batch-map fit.py data --resume tw-0123456789abcdef0123456789abcdef
    batch-map blocks save azure                           accounts as Prefect blocks
    batch-map janitor --dry-run                           what dead runs have left"""

app = CommandLine.app(
    "batch-map",
    "Run a program over many files on Azure Batch.",
    "[OPTIONS] COMMAND INPUTS...",
    EXAMPLES,
)
app.command(blocks.app)
app.command(janitor.app)

DEFAULT_FLAGS = RunFlags()
DEFAULT_BATCH_TASKS = BatchTaskOptions()


@app.default
def run(
    command: str,
    *inputs: str,
    output_suffix: str | None = None,
    flags: RunFlags = DEFAULT_FLAGS,
    batch_tasks: BatchTaskOptions = DEFAULT_BATCH_TASKS,
) -> None:
    """Run a program over many files on Azure Batch.

    Args:
        command: Python file and its arguments; each batch task runs
            `python3 FILE [ARG ...] INPUT OUTPUT`.
        inputs: Files, folders and globs; blobs as `az://container/prefix`.
        output_suffix: What outputs end with, such as .json; default: as their inputs do.
        flags: How it is run.
        batch_tasks: The batch tasks.
    """
    workload = PythonProgram.from_command(command, output_suffix)
    CommandLine(_load_flow, result_table).run(
        workload,
        inputs,
        {"command": command, "output_suffix": output_suffix},
        batch_tasks.settings,
        flags,
    )


def _load_flow() -> Callable[..., Any]:
    from prefect_azure_batch.batch_map_flow import batch_map  # noqa: PLC0415 - imports Prefect

    return batch_map


def result_table(outputs: "Outputs", num_inputs: int) -> Table:
    """Return one row for each of the first inputs."""
    return table_of(outputs.page_columns(), outputs.page_rows(num_inputs))


def main() -> int:
    """Run the command of the installed library."""
    return exit_code_of(app)
