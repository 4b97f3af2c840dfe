"""The flow: the most frequent words of many files, counted on Azure Batch, one batch task a file.

Requires: an Azure Batch and an Azure Storage account, as saved blocks (`python -m blocks save`) or
in the environment. Transient refusals of the services are repeated by each step, a failing node
program by Batch; the clean-up runs whatever happens. Results are not cached.
"""

if __name__ == "__main__":
    import sys
    from pathlib import Path

    # Python puts this script's folder first on its path; the project's packages are one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from flows.command_line import main

    sys.exit(main())

from typing import Annotated
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.clean_up import clean_up_after, cleaned_up
from flows.inputs import find_inputs
from flows.packing import plan_batch_tasks
from flows.runs import new_run
from flows.services import open_services
from flows.settings import CleanUpPolicy, JobSettings, PoolSettings
from flows.steps.batch_tasks import add_batch_tasks
from flows.steps.job import create_job, end_job_with_last_task
from flows.steps.monitor import wait_for_batch_tasks
from flows.steps.outputs import (
    check_endings,
    download_outputs,
    prepare_output_dir,
    read_words,
)
from flows.steps.pool import check_image, create_pool
from flows.steps.report import publish_words
from flows.steps.storage import check_storage, create_containers, node_program_path, upload_files
from flows.work import Result

DEFAULT_POOL = PoolSettings()
DEFAULT_JOB = JobSettings()
DEFAULT_CLEAN_UP = CleanUpPolicy()


def _run_name() -> str:
    given = flow_run.parameters
    return f"top {given['num_words']} words of {', '.join(given['inputs'])}"[:120]


@flow(
    name="top-words",
    flow_run_name=_run_name,
    on_cancellation=[clean_up_after],
    on_crashed=[clean_up_after],
)
def top_words(  # noqa: PLR0913, PLR0917 - these are the fields of the form in Prefect's UI
    inputs: list[str],
    num_words: Annotated[int, Field(ge=1)] = 3,
    output_dir: str = "results",
    batch_credentials: str | None = None,
    storage_credentials: str | None = None,
    pool: PoolSettings = DEFAULT_POOL,
    job: JobSettings = DEFAULT_JOB,
    clean_up: CleanUpPolicy = DEFAULT_CLEAN_UP,
) -> Result:
    """Count the words of files on Azure Batch and return the most frequent ones.

    Args:
        inputs: Files, folders (their text files) and globs, seen from the working directory.
        num_words: How many words of each file, at least 1.
        output_dir: Folder for the outputs and logs; made if absent, same names are replaced.
        batch_credentials: Name of a saved block; without one the environment or .env is used.
        storage_credentials: Name of a saved block; without one the environment or .env is used.
        pool: The nodes.
        job: The batch tasks.
        clean_up: What is deleted at the end.

    Returns:
        Words and counts of each input, most frequent first.

    Raises:
        PipelineError: the run cannot go on; the message says why and what to do.
    """
    sources = find_inputs(inputs)
    folder = prepare_output_dir(output_dir)
    node_program_path(job.node_program)
    with open_services(batch_credentials, storage_credentials) as services:
        check_storage(services)
        node_agent = check_image(services, pool)
        run = new_run(UUID(flow_run.id), flow_run.run_count, job, clean_up)
        with cleaned_up(services, run, clean_up, batch_credentials, storage_credentials):
            create_containers(services, run)
            upload_files(services, run, job.node_program, sources)
            create_pool(services, run, pool, node_agent, job.node_program)
            create_job(services, run, job)
            planned = plan_batch_tasks(run, sources, num_words, job)
            add_batch_tasks(services, run, planned, job)
            end_job_with_last_task(services, run)
            endings = wait_for_batch_tasks(services, run, pool, job)
            missing = download_outputs(services, run, planned, folder)
            check_endings(planned, endings, missing, folder)
            words = read_words(folder, sources)
            publish_words(run, words)
    return Result(words)
