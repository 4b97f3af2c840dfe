"""The command line: `python flows/top_words.py`, `python -m flows.top_words` and `top-words`.

Prefect takes seconds to import, so that waits until the arguments are known to be good; Azure on
this machine (`--local`) starts meanwhile.
"""

import json
import logging
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from prefect_azure_batch.collecting.summary import TOTAL_TITLE, output_rows, table_rows
from prefect_azure_batch.command_line.options import BatchTaskOptions, NodeOptions, SelectionOptions
from prefect_azure_batch.errors import ConfigurationError, PipelineError
from prefect_azure_batch.settings import CleanUpPolicy, Policy
from prefect_azure_batch.staging.local_inputs import find_inputs

if TYPE_CHECKING:
    from prefect_azure_batch.model.tasks import Result

PREFECT_DEFAULTS = {
    # A cold start of Prefect's own server takes 20 s and more.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # A server that is lost is given up after seconds, not a minute for every call.
    "PREFECT_CLIENT_MAX_RETRIES": "2",
}
ENGINE_MODULES = frozenset({"flow_engine", "task_engine"})
ACCOUNTS = Group("Accounts", sort_key=1)
NO_SELECTION = SelectionOptions()
DEFAULT_NODES = NodeOptions()
DEFAULT_BATCH_TASKS = BatchTaskOptions()
# Of more inputs nobody reads a table on a terminal.
MOST_INPUTS = 20
FAILED = 1
STOPPED_BY_CTRL_C = 130

EPILOGUE = """
Examples:

    top-words --local data/*.txt                          without any account
    top-words texts --files-per-batch-task auto --total   thousands of small files
    top-words az://texts/2026 --plan                      what it would create
    top-words texts --resume tw-0123456789abcdef          go on after a failure
    top-words texts --json | jq .total                    for programs
    top-words texts --program mine.py --arg=--fast        a program of your own

Exit codes: 0 every input has its output; 1 it failed, with one error on standard error;
2 an option is wrong; 130 stopped by Ctrl-C; 143 by SIGTERM.
"""

app = App(
    name="top-words",
    help="Print the most frequent words of files, counted on Azure Batch.",
    usage="Usage: top-words [OPTIONS] INPUTS...",
    help_epilogue=EPILOGUE,
    default_parameter=Parameter(show_default=lambda value: str(value) if value else None),
    version=partial(metadata.version, "batch-top-words"),
    # `main` says what became of the run.
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command()


@app.default
def count(  # noqa: PLR0913 - these are the options of the command
    *inputs: str,
    num_words: Annotated[int, Parameter(validator=Number(gte=1))] = 3,
    output_dir: str = "results",
    selection: SelectionOptions = NO_SELECTION,
    plan: Annotated[bool, Parameter(negative=())] = False,
    resume: str | None = None,
    ask: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    local: Annotated[bool, Parameter(negative=(), group=ACCOUNTS)] = False,
    batch_credentials: Annotated[str | None, Parameter(group=ACCOUNTS)] = None,
    storage_credentials: Annotated[str | None, Parameter(group=ACCOUNTS)] = None,
    nodes: NodeOptions = DEFAULT_NODES,
    batch_tasks: BatchTaskOptions = DEFAULT_BATCH_TASKS,
) -> None:
    """Print the most frequent words of files, counted on Azure Batch.

    Args:
        inputs: Files, folders (their texts; all for a program of your own) and globs; blobs as
            `az://container/prefix`.
        num_words: How many words of each file.
        output_dir: Folder for outputs and logs.
        selection: Which files are counted.
        plan: Say what would be created and what it could cost, and stop.
        resume: Go on with a run that failed or died: its name `tw-...` or its flow run's id.
        ask: When the outputs are here, ask whether to delete job and pool; Enter means yes.
        as_json: Print the result, or the plan, as JSON instead of a table.
        local: Start Azure Batch and Blob Storage on this machine, and use them.
        batch_credentials: Saved block of the Batch account; default: environment, then .env.
        storage_credentials: Saved block of the storage account; default: environment, then .env.
        nodes: The nodes.
        batch_tasks: The batch tasks.
    """
    if ask and not sys.stdin.isatty():
        raise ConfigurationError("--ask needs a terminal: run there, or leave it out")
    settings = checked_settings(selection, nodes, batch_tasks)
    find_inputs(inputs, settings["selection"], are_texts=batch_tasks.program is None)
    if local and (batch_credentials or storage_credentials):
        raise ConfigurationError("--local brings its own accounts: give no credentials with it")
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    began = datetime.now().astimezone()
    with services_of_this_machine(wanted=local):
        from flows.top_words import top_words  # noqa: PLC0415 - imports Prefect
        from prefect_azure_batch.service.clients import open_services  # noqa: PLC0415 - imports Prefect

        with explained(local=local), open_services(batch_credentials, storage_credentials):
            pass
        start_prefect_server()
        show_steps_only()
        with shown_progress() as hide, asked_here(hide, wanted=ask) as policy:
            result = top_words(
                list(inputs),
                num_words,
                output_dir,
                batch_credentials,
                storage_credentials,
                **settings,
                clean_up=policy,
                plan_only=plan,
                resume=resume,
            )
    if as_json:
        print_json(result, output_dir)
    else:
        print_result(result, began, output_dir)


def checked_settings(
    selection: SelectionOptions, nodes: NodeOptions, batch_tasks: BatchTaskOptions
) -> dict[str, Any]:
    """Return the settings that options stand for, by the flow's parameters.

    Raises:
        ConfigurationError: they cannot work together.
    """
    try:
        return {
            "selection": selection.settings(),
            "pool": nodes.settings(),
            "job": batch_tasks.settings(),
        }
    except ValidationError as error:
        told = (item["msg"].removeprefix("Value error, ") for item in error.errors())
        raise ConfigurationError("; ".join(told)) from error


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


def start_prefect_server() -> None:
    """Start Prefect's temporary server, unless another is named, out of the reach of Ctrl-C.

    A terminal sends Ctrl-C to all its processes, and the clean-up has need of the server.
    """
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - Prefect
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - Prefect

    if PREFECT_API_URL.value():
        return
    # A child has the signal mask of the thread that starts it.
    deaf = partial(signal.pthread_sigmask, signal.SIG_BLOCK, {signal.SIGINT})
    with ThreadPoolExecutor(1, initializer=deaf) as starter:
        starter.submit(SubprocessASGIServer().start).result()


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
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([sys.stdin], [], [], left_s)[0]:
                break
            said[kind] = not sys.stdin.readline().strip().lower().startswith("n")
    except KeyboardInterrupt:
        said = dict.fromkeys(names, True)
        sys.stderr.write("\nnothing is kept\n")
    return said


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
            words = f"batch tasks ({progress.running} running, {progress.failed} failed)"
            bar.update(level, completed=progress.completed, total=progress.total, description=words)

        token = on_progress.set(show)
        try:
            yield bar.stop
        finally:
            on_progress.reset(token)


def print_result(result: "Result", began: datetime, output_dir: str) -> None:
    """Print the plan, or the words or outputs of the inputs, and from when to when it all took."""
    console = Console(highlight=False)
    if result.plan:
        table = Table("Would create", "", show_header=False)
        for title, value in result.plan.items():
            table.add_row(title, escape(value))
        console.print(table)
        return
    console.print(result_table(result))
    if result.num_inputs > MOST_INPUTS:
        left_out = result.num_inputs - MOST_INPUTS
        console.print(f"and {left_out} inputs more: see {Path(output_dir) / 'results.csv'}")
    ended = datetime.now().astimezone()
    console.print(
        f"{result.num_inputs} inputs; {began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S}, "
        f"{(ended - began).total_seconds():.1f} s"
    )


def result_table(result: "Result") -> Table:
    """Return one row per input and word, or per output of a program of the user's own."""
    if result.outputs:
        table = Table("Input", "Output", "Bytes", "Folder")
        rows = output_rows(dict(islice(result.outputs.items(), MOST_INPUTS)))
    else:
        table = Table("Input", "Word", "Count")
        total = {} if result.total is None else {TOTAL_TITLE: result.total}
        rows = table_rows(total | dict(islice(result.words.items(), MOST_INPUTS)))
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    return table


def print_json(result: "Result", output_dir: str) -> None:
    """Print the plan, or what stands in the run's `results.json`."""
    if result.plan:
        sys.stdout.write(json.dumps(dict(result.plan), ensure_ascii=False, indent=2) + "\n")
        return
    from prefect_azure_batch.collecting.publish import JSON_NAME  # noqa: PLC0415 - imports Prefect

    with (Path(output_dir) / JSON_NAME).open(encoding="utf-8") as file:
        shutil.copyfileobj(file, sys.stdout)


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
        sys.stderr.write("\n".join(told(error)) + "\n")
        return FAILED
    return 0


def told(error: BaseException) -> Iterator[str]:
    """Yield what an error says, and our own error that it came after, if there is one."""
    text = str(error) or type(error).__name__
    if type(error).__module__.partition(".")[0] in {"httpx", "httpcore"}:
        text = f"Prefect's server (PREFECT_API_URL) could not be reached: {text}"
    yield f"error: {text}"
    yield from getattr(error, "__notes__", ())
    before = error.__context__
    while before and not isinstance(before, PipelineError):
        before = before.__context__
    if before and not isinstance(error, PipelineError):
        yield f"after: {before}"
        yield from getattr(before, "__notes__", ())


if __name__ == "__main__":
    sys.exit(main())
