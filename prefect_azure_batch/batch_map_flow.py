"""The flow of `batch_map`: a Python program of the user's own over many inputs."""

import shlex
from pathlib import Path

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from prefect_azure_batch.bounded_flow import bounded
from prefect_azure_batch.clean_up_hooks import hooks
from prefect_azure_batch.messages import without_sas
from prefect_azure_batch.model.list_file import ListFile
from prefect_azure_batch.model.result import OutputRow, Outputs
from prefect_azure_batch.model.tasks import is_gzip
from prefect_azure_batch.plain_text import one_line
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings, Selection
from prefect_azure_batch.staging.list_files import title_of
from prefect_azure_batch.workload_run import RunOptions, plan_workload, run_workload
from prefect_azure_batch.workloads.python_program import PythonProgram

DEFAULT_POOL = PoolSettings()
DEFAULT_JOB = JobSettings()
DEFAULT_CLEAN_UP = CleanUpPolicy()
DEFAULT_SELECTION = Selection()


def _run_name() -> str:
    return run_name(flow_run.parameters["command"], flow_run.parameters["inputs"])


def run_name(command: str, inputs: object) -> str:
    """Return what a flow run is called, also if the flow will refuse its command."""
    try:
        program = next(iter(shlex.split(command)), "nothing")
    except ValueError:
        program = command
    return one_line(without_sas(f"{Path(program).name} on {title_of(inputs)}")[:120])


@bounded
@flow(name="batch-map", flow_run_name=_run_name, **hooks)
def batch_map(  # noqa: PLR0913, PLR0917 - these are the fields of the form in Prefect's UI
    command: str,
    inputs: list[str] | ListFile,
    output_dir: str = "results",
    output_suffix: str | None = None,
    batch_credentials: str | None = None,
    storage_credentials: str | None = None,
    pool: PoolSettings = DEFAULT_POOL,
    job: JobSettings = DEFAULT_JOB,
    clean_up: CleanUpPolicy = DEFAULT_CLEAN_UP,
    selection: Selection = DEFAULT_SELECTION,
    plan_only: bool = False,  # noqa: FBT001, FBT002 - a box to tick in the form
    resume: str | None = None,
    root: str | None = None,
) -> Outputs:
    """Run a program over many files on Azure Batch, and return where the outputs are.

    Args:
        command: Python file and its arguments, such as `fit.py --fast`; each batch task runs
            `python3 fit.py --fast INPUT OUTPUT`. No secrets: it is shown.
        inputs: Files, folders and globs, relative to the working directory, and
            `az://container/prefix` for blobs of the storage account; a long list is in a file, as
            `list_file` writes it.
        output_dir: Folder for the outputs and logs, for one run at a time; made if absent, same
            names are replaced. It may contain `{run}` (the run's name), `{name}` (the flow run's)
            and `{date}` (of its start, UTC).
        output_suffix: What outputs end with, such as `.json`; without one as their inputs do.
        batch_credentials: Name of a saved block; without one the environment or .env is used.
        storage_credentials: Name of a saved block; without one the environment or .env is used.
        pool: The nodes.
        job: The batch tasks.
        clean_up: What is deleted at the end: always, on_success (unless the run failed), never, or
            ask (a person says it, in a form of this UI).
        selection: Which files of folders and globs, and which blobs, are worked on.
        plan_only: Say what would be created, and stop.
        resume: A run that failed or died, to continue: its flow run's id, or its name `tw-...`.
        root: Folder, or `az://container/folder`, to which the names of inputs and outputs are
            relative; without it they are relative to the folder, prefix or glob that is given.

    Returns:
        One row for each input, in their order; or only the plan.

    Raises:
        PipelineError: the run cannot continue; the message says why and what to do.
    """
    workload = PythonProgram.from_command(command, output_suffix)
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
    if plan_only:
        return Outputs(plan=dict(plan_workload(workload, inputs, **options).rows()))
    outputs = run_workload(workload, inputs, **options)
    warn_of_false_suffixes(outputs)
    return outputs


def warn_of_false_suffixes(outputs: Outputs) -> None:
    """Warn of outputs that are called compressed, as their inputs are, and are not."""
    false = [row.name for row in outputs if row.path.lower().endswith(".gz") and not _is_gzip(row)]
    if false:
        get_run_logger().warning(
            "%d output(s) end with .gz and are not compressed, such as that of %r: say by "
            "output_suffix (--output-suffix) what the program writes",
            *(len(false), false[0]),
        )


def _is_gzip(row: OutputRow) -> bool:
    with Path(row.path).open("rb") as file:
        return row.size == 0 or is_gzip(file.read(2))
