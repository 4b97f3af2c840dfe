"""A workload over many inputs, inside a flow: all that can be checked, then the job, cleaned up."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, cast
from uuid import UUID

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from prefect_azure_batch.clean_up import cleaned_up
from prefect_azure_batch.collecting.folder_names import folder_of, placeholders_of
from prefect_azure_batch.collecting.output_folder import check_output_dir, taken
from prefect_azure_batch.engine.attempts import find_run
from prefect_azure_batch.engine.folder_words import REMEMBERED, folder_words
from prefect_azure_batch.engine.plan import Plan
from prefect_azure_batch.engine.preflight import (
    check_storage,
    plan_run,
    record_planned_outputs,
)
from prefect_azure_batch.engine.run_job import run_job
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.list_file import ListFile
from prefect_azure_batch.model.result import ResultTables
from prefect_azure_batch.model.run import Run, new_run, run_id_of
from prefect_azure_batch.model.stopwatch import Stopwatch
from prefect_azure_batch.model.tasks import InputFile
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.running.events import limit_reconnections
from prefect_azure_batch.running.pool import check_pool
from prefect_azure_batch.service.clients import open_services
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.settings import (
    CleanUpPolicy,
    JobSettings,
    PoolSettings,
    Selection,
    refuse_empty,
)
from prefect_azure_batch.staging.blob_inputs import gather_inputs
from prefect_azure_batch.staging.input_names import Root
from prefect_azure_batch.staging.list_files import inputs_of
from prefect_azure_batch.staging.local_inputs import Search

# What is left out if it is not meant.
NAMES = ("output_dir", "resume", "batch_credentials", "storage_credentials")

ResultT = TypeVar("ResultT", bound=ResultTables)


class RunOptions(TypedDict, total=False):
    """How a workload is run; what is left out is as by default.

    Attributes:
        pool: the nodes.
        job: limits of the batch tasks.
        clean_up: what is deleted at the end.
        selection: which files of folders and globs, and which blobs, are worked on.
        root: folder, or `az://container/folder`, to which the names of inputs and outputs are
            relative; without it they are relative to the folder, prefix or glob that was given.
        output_dir: folder for outputs and logs, `results` by default; made if absent, files of
            the same names are replaced. It may contain `{run}`, `{name}` and `{date}`.
        resume: a run that failed or died: its flow run's id, or its name `tw-...`.
        batch_credentials: name of a saved block; without one the environment or .env is used.
        storage_credentials: name of a saved block; without one the environment or .env is used.
    """

    pool: PoolSettings
    job: JobSettings
    clean_up: CleanUpPolicy
    selection: Selection
    root: str | None
    output_dir: str
    resume: str | None
    batch_credentials: str | None
    storage_credentials: str | None


def run_workload(
    workload: Workload[ResultT], inputs: Sequence[str] | ListFile, **options: Unpack[RunOptions]
) -> ResultT:
    """Run a workload over many inputs on Azure Batch, inside a flow decorated with `hooks`.

    Args:
        workload: what is done.
        inputs: files, folders and globs, relative to the working directory, and
            `az://container/prefix` for blobs of the storage account; or a list of them in a file.
        options: how.

    Returns:
        What the workload makes of the outputs.

    Raises:
        PipelineError: the run cannot continue; the message says why and what to do.
    """
    clean_up = options.get("clean_up", CleanUpPolicy())
    names = (options.get("batch_credentials"), options.get("storage_credentials"))
    with _preflight(workload, inputs, options, is_run=True) as (context, _):
        heartbeat = Heartbeat(
            context.blobs,
            context.run,
            UUID(flow_run.id),
            get_run_logger().warning,
            movement=context.movement,
        )
        guarded = replace(context, guard=heartbeat.check)
        record_planned_outputs(context.folder, context.levels)
        with cleaned_up(guarded, heartbeat, clean_up, names):
            return cast("ResultT", run_job(guarded, heartbeat))


def plan_workload(
    workload: Workload[Any], inputs: Sequence[str] | ListFile, **options: Unpack[RunOptions]
) -> Plan:
    """Say what `run_workload` would create with the same arguments, and create nothing.

    Raises:
        PipelineError: the run could not begin; the message says why and what to do.
    """
    with _preflight(workload, inputs, options, is_run=False) as (_, plan):
        get_run_logger().info("nothing was created; the plan:\n%s", "\n".join(plan.lines()))
        return plan


@contextmanager
def _preflight(
    workload: Workload[Any],
    given: Sequence[str] | ListFile,
    options: RunOptions,
    *,
    is_run: bool,
) -> Iterator[tuple[WorkContext, Plan]]:
    """Check all that can be checked before anything is created, and plan.

    A run has its output folder for itself meanwhile; a plan leaves nothing there.
    """
    _check_call(options)
    limit_reconnections()
    stopwatch = Stopwatch("preflight")
    check_output_dir(options.get("output_dir", "results"))
    root = Root(options.get("root"))
    workload.check()
    patterns = inputs_of(given)
    job = options.get("job", JobSettings())
    names = (options.get("batch_credentials"), options.get("storage_credentials"))
    begun = _new_run((), options)
    with (
        open_services(*names) as services,
        _output_folder(RunContext.of(services, begun), options, is_taken=is_run) as (
            folder,
            meanings,
        ),
    ):
        search = Search(options.get("selection", Selection()), root, folder)
        inputs = gather_inputs(services, workload, patterns, search)
        check_storage(services)
        pool, node_agent = check_pool(services, options.get("pool", PoolSettings()))
        run = _new_run(inputs, options).on_pool(pool.existing_pool_id)
        context = RunContext.of(services, run)
        levels, plan = plan_run(context, workload, pool, job, inputs, folder)
        yield (
            WorkContext(
                **{field.name: getattr(context, field.name) for field in fields(context)},
                workload=workload,
                pool=pool,
                node_agent=node_agent,
                job=job,
                inputs=inputs,
                levels=levels,
                folder=folder,
                stopwatch=stopwatch,
                folder_words=meanings,
            ),
            plan,
        )


@contextmanager
def _output_folder(
    context: RunContext, options: RunOptions, *, is_taken: bool
) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Give the output folder, and what a run that resumes this one must know of its name."""
    output_dir = options.get("output_dir", "results")
    if options.get("resume"):
        find_run(context)
    meanings = folder_words(context, output_dir)
    folder = folder_of(output_dir, meanings)
    kept = meanings if placeholders_of(output_dir) & REMEMBERED else {}
    if not is_taken:
        yield folder, kept
        return
    with taken(folder, output_dir, context.run.name, get_run_logger().warning):
        yield folder, kept


def _check_call(options: RunOptions) -> None:
    """Refuse what would be ignored, or could only fail much later.

    Raises:
        ConfigurationError: not called in a flow, or an option that is empty or does not exist.
    """
    if flow_run.id is None:
        raise ConfigurationError(
            "a workload runs in a flow run, whose id names its resources: call it in a function "
            "decorated with @flow(**hooks), not in a script as such"
        )
    refuse_empty(**{name: options.get(name) for name in NAMES})
    unknown = options.keys() - RunOptions.__annotations__.keys()
    if unknown:
        known = ", ".join(sorted(RunOptions.__annotations__))
        raise ConfigurationError(f"no option {min(unknown)!r}: the options are {known}")


def _new_run(inputs: Sequence[InputFile], options: RunOptions) -> Run:
    """Name the run: a resumed one has the names of the one that it resumes."""
    resume = options.get("resume")
    return new_run(
        run_id_of(resume) if resume else UUID(flow_run.id),
        0,
        options.get("job", JobSettings()),
        options.get("clean_up", CleanUpPolicy()),
        sum(source.size for source in inputs if source.path),
    )
