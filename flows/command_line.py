"""The command line: `python flows/top_words.py`, `python -m flows.top_words` and `top-words`.

Prefect takes seconds to import, so that waits until the arguments are known to be good; Azure on
this machine (`--local`) starts meanwhile.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from flows.errors import ConfigurationError
from flows.inputs import find_inputs
from flows.settings import JobSettings, PoolSettings

if TYPE_CHECKING:
    from flows.work import WordCounts

PREFECT_DEFAULTS = {
    # A cold start of Prefect's own server takes 20 s and more.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
ENGINE_MODULES = frozenset({"flow_engine", "task_engine"})
FAILED = 1
STOPPED_BY_CTRL_C = 130

app = App(
    name="top-words",
    help="Print the most frequent words of files, counted on Azure Batch.",
    # `main` says what became of the run.
    suppress_keyboard_interrupt=False,
)


@app.default
def count(  # noqa: PLR0913 - these are the options of the command
    *inputs: str,
    num_words: Annotated[int, Parameter(validator=Number(gte=1))] = 3,
    output_dir: str = "results",
    local: Annotated[bool, Parameter(negative=())] = False,
    batch_credentials: str | None = None,
    storage_credentials: str | None = None,
    nodes: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    vm_size: str = "standard_d2s_v5",
    node_program: Path | None = None,
    start_task_command: str | None = None,
    delay: Annotated[float, Parameter(validator=Number(gte=0))] = 0,
) -> None:
    """Print the most frequent words of files, counted on Azure Batch, one batch task a file.

    Args:
        inputs: Files, folders (their text files) and globs.
        num_words: How many words of each file.
        output_dir: Folder for outputs and logs.
        local: Start Azure Batch and Blob Storage on this machine, and use them.
        batch_credentials: Saved block of the Batch account; default: environment, then .env.
        storage_credentials: Saved block of the storage account; default: environment, then .env.
        nodes: How many nodes.
        vm_size: Their size.
        node_program: Python file to run on the nodes instead of the word counter.
        start_task_command: Bash command that each node runs first.
        delay: Seconds that each batch task waits before it works.
    """
    find_inputs(inputs)
    if local and (batch_credentials or storage_credentials):
        raise ConfigurationError("--local brings its own accounts: give no credentials with it")
    pool = PoolSettings(
        dedicated_nodes=nodes, vm_size=vm_size, start_task_command=start_task_command
    )
    job = JobSettings(delay_s=delay)
    if node_program is not None:
        job = job.model_copy(update={"node_program": str(node_program.absolute())})
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    began = datetime.now().astimezone()
    with services_of_this_machine(wanted=local):
        from flows.services import open_services  # noqa: PLC0415 - imports Prefect
        from flows.top_words import top_words  # noqa: PLC0415 - imports Prefect

        with explained(local=local), open_services(batch_credentials, storage_credentials):
            pass
        show_steps_only()
        result = top_words(
            list(inputs), num_words, output_dir, batch_credentials, storage_credentials, pool, job
        )
    print_table(result.words, began)


@contextmanager
def explained(*, local: bool) -> Iterator[None]:
    """Add to an error about the accounts how to do without any.

    Raises:
        ConfigurationError: as raised in the block.
    """
    try:
        yield
    except ConfigurationError as error:
        if not local:
            error.add_note("without an account, --local runs Azure Batch and Blob on this machine")
        raise


@contextmanager
def services_of_this_machine(*, wanted: bool) -> Iterator[None]:
    """Start Azure on this machine if wanted, import Prefect meanwhile, and stop it at the end."""
    if not wanted:
        yield
        return
    from local_azure.stack import LocalAzure  # noqa: PLC0415 - only for --local

    azure = LocalAzure()
    began = time.monotonic()
    try:
        azure.start()
        import prefect  # noqa: F401, PLC0415 - takes as long as the services do

        azure.wait_until_ready()
        os.environ.update(azure.environment)
        took_s = time.monotonic() - began
        sys.stderr.write(f"Azure Batch and Blob Storage on this machine: ready in {took_s:.1f} s\n")
        yield
    finally:
        azure.stop()


def show_steps_only() -> None:
    """Keep the engine's own lines off the terminal: its tracebacks would hide the one error."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.module not in ENGINE_MODULES)


def print_table(words: Mapping[str, "WordCounts"], began: datetime) -> None:
    """Print one row per input and word, and from when to when it all took."""
    from flows.steps.report import table_rows  # noqa: PLC0415 - imports Prefect

    table = Table("Input", "Word", "Count")
    for row in table_rows(words):
        table.add_row(*map(str, row.values()))
    console = Console(highlight=False)
    console.print(table)
    ended = datetime.now().astimezone()
    console.print(
        f"{len(words)} inputs; {began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S}, "
        f"{(ended - began).total_seconds():.1f} s"
    )


def main() -> int:
    """Run the command line.

    Returns:
        0 if every input has its output; else another number, and one error on standard error.
    """
    try:
        app(result_action="return_value")
    except KeyboardInterrupt:
        sys.stderr.write("stopped by Ctrl-C\n")
        return STOPPED_BY_CTRL_C
    except Exception as error:  # noqa: BLE001 - the last resort; whatever it is, it is told once
        told = [f"error: {str(error) or type(error).__name__}", *getattr(error, "__notes__", ())]
        sys.stderr.write("\n".join(told) + "\n")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
