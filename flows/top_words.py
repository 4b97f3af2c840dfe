"""The flow: the most frequent words of many files, counted on Azure Batch, one batch task a file.

Requires: an Azure Batch and an Azure Storage account, as saved blocks (`python -m blocks save`) or
in the environment. Transient refusals of the services are repeated by each step, a failing node
program by Batch; the clean-up runs whatever happens. Results are not cached.
"""

import sys

if __name__ == "__main__":
    # Before Prefect is imported, which takes seconds. The flow is imported later, by its own name:
    # it must not exist twice.
    from importlib import import_module

    try:
        from flows.word_count.options import command
        from prefect_azure_batch import exit_code_of
    except ModuleNotFoundError as error:
        sys.exit(f"error: no module {error.name!r}: run `make run` first, then .venv/bin/python")
    sys.exit(exit_code_of(command(lambda: import_module("flows.top_words").top_words)))

import shlex
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.word_count.result import Result
from flows.word_count.settings import DEFAULT_NUM_WORDS, CountSettings, check_num_words
from flows.word_count.workload import WordCount
from prefect_azure_batch import (
    CleanUpPolicy,
    ListFile,
    PoolSettings,
    PythonProgram,
    RunOptions,
    Selection,
    bounded,
    hooks,
    one_line,
    plan_workload,
    run_workload,
    title_of,
    without_sas,
)

DEFAULT_POOL = PoolSettings()
DEFAULT_JOB = CountSettings()
DEFAULT_CLEAN_UP = CleanUpPolicy()
DEFAULT_SELECTION = Selection()


def _run_name() -> str:
    given = flow_run.parameters
    job = CountSettings.model_validate(given["job"])
    what = f"{Path(job.program).name} on" if job.program else f"top {given['num_words']} words of"
    return one_line(without_sas(f"{what} {title_of(given['inputs'])}")[:120])


@bounded
@flow(name="top-words", flow_run_name=_run_name, **hooks)
def top_words(  # noqa: PLR0913, PLR0917 - these are the fields of the form in Prefect's UI
    inputs: list[str] | ListFile,
    num_words: Annotated[int, Field(ge=1)] = DEFAULT_NUM_WORDS,
    output_dir: str = "results",
    batch_credentials: str | None = None,
    storage_credentials: str | None = None,
    pool: PoolSettings = DEFAULT_POOL,
    job: CountSettings = DEFAULT_JOB,
    clean_up: CleanUpPolicy = DEFAULT_CLEAN_UP,
    selection: Selection = DEFAULT_SELECTION,
    plan_only: bool = False,  # noqa: FBT001, FBT002 - a box to tick in the form
    resume: str | None = None,
    root: str | None = None,
) -> Result:
    """Count the words of files on Azure Batch and return the most frequent ones.

    Args:
        inputs: Files, folders (their texts; all files for a program of your own) and globs,
            relative to the working directory, and `az://container/prefix` for blobs of the
            storage account; a long list is in a file, as `list_file` writes it.
        num_words: How many words of each file, at least 1; not for a program of your own.
        output_dir: Folder for the outputs and logs, for one run at a time; made if absent, same
            names are replaced. It may contain `{run}` (the run's name), `{name}` (the flow run's)
            and `{date}` (of its start, UTC).
        batch_credentials: Name of a saved block; without one the environment or .env is used.
        storage_credentials: Name of a saved block; without one the environment or .env is used.
        pool: The nodes.
        job: The batch tasks.
        clean_up: What is deleted at the end: always, on_success (unless the run failed), never, or
            ask (a person says it, in a form of this UI).
        selection: Which files of folders and globs, and which blobs, are counted.
        plan_only: Say what would be created, and stop.
        resume: A run that failed or died, to continue: its flow run's id, or its name `tw-...`.
        root: Folder, or `az://container/folder`, to which the names of inputs and outputs are
            relative; without it they are relative to the folder, prefix or glob that is given.

    Returns:
        Words and counts of each input, most frequent first; or the outputs of your own program.

    Raises:
        PipelineError: the run cannot continue; the message says why and what to do.
    """
    options: RunOptions = {
        "output_dir": output_dir,
        "batch_credentials": batch_credentials,
        "storage_credentials": storage_credentials,
        "pool": pool,
        "job": job,
        "clean_up": clean_up,
        "selection": selection,
        "resume": resume,
        "root": root,
    }
    own = None if job.program is None else _own_program(inputs, num_words, job)
    workload = own or WordCount(num_words, job)
    if plan_only:
        return Result({}, plan=dict(plan_workload(workload, inputs, **options).rows()))
    if own:
        found = run_workload(own, inputs, **options)
        return Result({}, outputs={row.name: row for row in found}, left_out=found.left_out)
    result = run_workload(WordCount(num_words, job), inputs, **options)
    if warning := result.warning(job.encoding):
        get_run_logger().warning("%s", warning)
    return result


def _own_program(inputs: list[str] | ListFile, num_words: int, job: CountSettings) -> PythonProgram:
    """Return the workload of `job.program`, for one version, and say what to write instead."""
    command = shlex.join((str(job.program), *job.program_arguments))
    suffix = f", output_suffix={job.output_suffix!r}" if job.output_suffix else ""
    get_run_logger().warning(
        "job.program goes with the next version: write batch_map(%r, %.200r%s)",
        command,
        inputs,
        suffix,
    )
    check_num_words(num_words, job.program)
    return PythonProgram(str(job.program), job.program_arguments, job.output_suffix)
