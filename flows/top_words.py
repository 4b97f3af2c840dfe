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
    from prefect_azure_batch.command_line.app import main

    sys.exit(main())

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.word_count.output_files import list_outputs, read_result
from prefect_azure_batch.clean_up import clean_up_after, cleaned_up
from prefect_azure_batch.collecting.failure_report import failure_error, report_failures
from prefect_azure_batch.collecting.publish import estimate_node_use, publish_results
from prefect_azure_batch.collecting.summary import Summary
from prefect_azure_batch.engine.attempts import attempts, find_run
from prefect_azure_batch.engine.levels import Levels
from prefect_azure_batch.engine.output_folder import prepare_output_dir
from prefect_azure_batch.engine.preflight import check_program, gather_inputs, plan_run
from prefect_azure_batch.engine.stopwatch import Phases
from prefect_azure_batch.model.run import Run, new_run, run_id_of
from prefect_azure_batch.model.tasks import Failure, InputFile, PlannedTask, Result
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.running.events import give_up_soon
from prefect_azure_batch.running.job import create_job
from prefect_azure_batch.running.pool import check_pool, create_pool
from prefect_azure_batch.service.clients import Services, open_services
from prefect_azure_batch.settings import (
    DEFAULT_NUM_WORDS,
    CleanUpPolicy,
    JobSettings,
    PoolSettings,
    Selection,
)
from prefect_azure_batch.staging.containers import check_storage, create_containers, upload_files

DEFAULT_POOL = PoolSettings()
DEFAULT_JOB = JobSettings()
DEFAULT_CLEAN_UP = CleanUpPolicy()
DEFAULT_SELECTION = Selection()


def _run_name() -> str:
    given = flow_run.parameters
    job = JobSettings.model_validate(given["job"])
    what = f"{Path(job.program).name} on" if job.program else f"top {given['num_words']} words of"
    return f"{what} {', '.join(given['inputs'])}"[:120]


@dataclass(frozen=True)
class Work:
    """A run that has passed all checks, and what it is to do.

    Attributes:
        run: before its first attempt.
        pool: the nodes as they are or will be.
        node_agent: the node agent SKU id that goes with their image.
        job: the batch tasks.
        sources: the inputs.
        levels: the batch tasks level by level.
        folder: where outputs and logs go.
        phases: the stopwatch of the run.
    """

    run: Run
    pool: PoolSettings
    node_agent: str
    job: JobSettings
    sources: Sequence[InputFile]
    levels: Sequence[Sequence[PlannedTask]]
    folder: Path
    phases: Phases


def count(services: Services, heartbeat: Heartbeat, work: Work) -> Run:
    """Take the tutorial's steps from the upload to the last output; again for what was lost.

    Returns:
        The run in its last attempt.

    Raises:
        PipelineError: an input has no output; the failure report is written.
    """
    lost: Sequence[Failure] = ()
    for run in attempts(services, work.run, heartbeat, work.job):
        work.phases.begin("upload")
        upload_files(services, run, work.job, work.sources, work.levels)
        begin = partial(begin_attempt, services, run, work)
        levels = Levels(services, run, work.pool, work.job, work.folder, work.phases, begin)
        lost = levels.count(work.levels)
        if not lost:
            return run
    report_failures(services, work.run, lost, work.folder)
    raise failure_error(lost, work.folder)


def begin_attempt(services: Services, run: Run, work: Work) -> None:
    """Create pool and job of an attempt in which there is something to be done."""
    work.phases.begin("pool and job")
    if not work.pool.existing_pool_id:
        create_pool(services, run, work.pool, work.node_agent, work.job)
    create_job(services, run, work.job)


def publish(services: Services, run: Run, work: Work) -> Result:
    """Read the outputs that are in the folder, and show what they say."""
    work.phases.begin("results")
    used_s = work.phases.since("pool and job")
    nodes = None if used_s is None else estimate_node_use(services, run, work.pool, used_s)
    if work.job.program is None:
        result = read_result(work.folder, work.sources, has_total=work.job.total)
    else:
        result = list_outputs(work.folder, work.levels[0])
    summary = Summary(run.flow_run_id, result, work.phases.elapsed_s(), nodes)
    publish_results(services, summary, work.folder)
    return result


@flow(
    name="top-words",
    flow_run_name=_run_name,
    on_cancellation=[clean_up_after],
    on_crashed=[clean_up_after],
)
def top_words(  # noqa: PLR0913, PLR0917 - these are the fields of the form in Prefect's UI
    inputs: list[str],
    num_words: Annotated[int, Field(ge=1)] = DEFAULT_NUM_WORDS,
    output_dir: str = "results",
    batch_credentials: str | None = None,
    storage_credentials: str | None = None,
    pool: PoolSettings = DEFAULT_POOL,
    job: JobSettings = DEFAULT_JOB,
    clean_up: CleanUpPolicy = DEFAULT_CLEAN_UP,
    selection: Selection = DEFAULT_SELECTION,
    plan_only: bool = False,  # noqa: FBT001, FBT002 - a box to tick in the form
    resume: str | None = None,
) -> Result:
    """Count the words of files on Azure Batch and return the most frequent ones.

    Args:
        inputs: Files, folders (their texts; all files for a program of your own) and globs, from
            the working directory, and `az://container/prefix` for blobs of the storage account.
        num_words: How many words of each file, at least 1; not for a program of your own.
        output_dir: Folder for the outputs and logs; made if absent, same names are replaced.
        batch_credentials: Name of a saved block; without one the environment or .env is used.
        storage_credentials: Name of a saved block; without one the environment or .env is used.
        pool: The nodes.
        job: The batch tasks.
        clean_up: What is deleted at the end: always, on_success (unless the run failed), never, or
            ask (a person says it, in a form of this UI).
        selection: Which files of folders and globs, and which blobs, are counted.
        plan_only: Say what would be created, and stop.
        resume: A run that failed or died, to go on with: its flow run's id, or its name `tw-...`.

    Returns:
        Words and counts of each input, most frequent first; or the outputs of your own program.

    Raises:
        PipelineError: the run cannot go on; the message says why and what to do.
    """
    give_up_soon()
    phases = Phases("preflight")
    folder = prepare_output_dir(output_dir)
    check_program(job, num_words)
    with open_services(batch_credentials, storage_credentials) as clients:
        sources = gather_inputs(clients, inputs, selection, job)
        check_storage(clients)
        pool, node_agent = check_pool(clients, pool)
        holder = UUID(flow_run.id)
        num_bytes = sum(source.size for source in sources if source.path)
        run = new_run(run_id_of(resume) if resume else holder, 0, job, clean_up, num_bytes)
        run = run.on_pool(pool.existing_pool_id)
        if resume:
            find_run(clients, run)
        levels, plan = plan_run(clients, run, pool, job, sources, num_words)
        if plan_only:
            get_run_logger().info("nothing was created; the plan:\n%s", "\n".join(plan.lines()))
            return Result({}, plan=dict(plan.rows()))
        work = Work(run, pool, node_agent, job, sources, levels, folder, phases)
        heartbeat = Heartbeat(clients.blobs, run, holder, get_run_logger().warning)
        services = replace(clients, check=heartbeat.check)
        block_names = (batch_credentials, storage_credentials)
        with cleaned_up(services, run, heartbeat, clean_up, block_names):
            create_containers(services, run)
            run = count(services, heartbeat, work)
            return publish(services, run, work)
