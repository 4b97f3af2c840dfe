"""The tutorial's steps in order, from the containers to the results."""

from pathlib import PurePath

from prefect_azure_batch.collecting.failure_report import (
    delete_old_report,
    failure_error,
    report_failures,
)
from prefect_azure_batch.collecting.logs import delete_old_logs
from prefect_azure_batch.collecting.publish import estimate_node_use, publish_results
from prefect_azure_batch.collecting.summary import Summary
from prefect_azure_batch.engine.attempts import MOST_ATTEMPTS, close_attempt, open_attempt
from prefect_azure_batch.engine.folder_words import remember_words
from prefect_azure_batch.engine.levels import Levels
from prefect_azure_batch.errors import OutputReplaced
from prefect_azure_batch.messages import few
from prefect_azure_batch.model.result import Failure, ResultTables
from prefect_azure_batch.model.tasks import left_out_of
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.running.job import create_job
from prefect_azure_batch.running.pool import create_pool
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.staging.containers import create_containers, upload_files


def run_job(context: WorkContext, heartbeat: Heartbeat) -> ResultTables:
    """Take the tutorial's steps 1 to 7; 8 and 9, deleting and asking, are the clean-up's.

    What lost its outputs runs again in another attempt, with a pool and a job of its own.

    Args:
        context: the run before its first attempt.
        heartbeat: says which attempts there were, and which process has the run.

    Raises:
        PipelineError: an input has no output; the failure report is written.
    """
    lost: list[Failure] = []
    delete_old_logs(context.folder, (item.id for level in context.levels for item in level))
    create_containers(context)  # step 1
    if context.folder_words:
        remember_words(context)
    for num_left in reversed(range(MOST_ATTEMPTS)):
        attempt = context.in_attempt(open_attempt(context, heartbeat))
        attempt.stopwatch.begin("upload")
        upload_files(attempt)  # step 2
        levels = Levels(attempt)
        for level in attempt.levels:
            with levels.run(level) as level_run:
                if level_run.undone and not levels.has_job:
                    attempt.stopwatch.begin("pool and job")
                    if not attempt.run.existing_pool_id:
                        create_pool(attempt)  # step 3
                    create_job(attempt)  # step 4
                    levels.has_job = True
                if levels.has_job:
                    level_run.add()  # step 5
                level_run.wait()  # step 6
                lost = level_run.finish_downloads()  # step 7
            if lost:
                break
        else:
            return publish(attempt)
        # The job of the last one is evidence, and the policy says what becomes of it.
        if num_left:
            close_attempt(attempt)
    report_failures(context, lost)
    raise failure_error(lost, context.folder)


def publish(context: WorkContext) -> ResultTables:
    """Read the outputs that are in the folder, and show what they say.

    Raises:
        OutputReplaced: somebody else has written there.
    """
    check_outputs(context)
    delete_old_report(context.folder)
    context.stopwatch.begin("results")
    used_s = context.stopwatch.since("pool and job")
    nodes = None if used_s is None else estimate_node_use(context, used_s)
    result: ResultTables = context.workload.result(context.folder, context.inputs, context.levels)
    # What was read between two looks at the same files is theirs.
    check_outputs(context)
    summary = Summary(
        context.run.flow_run_id,
        result,
        context.stopwatch.elapsed_s(),
        nodes,
        left_out_of(context.inputs),
    )
    publish_results(context, summary)
    return result


def check_outputs(context: WorkContext) -> None:
    """Check that the outputs in the folder are those that this run has written there.

    Raises:
        OutputReplaced: they are not.
    """
    if replaced := context.written.replaced():
        names = [repr(str(PurePath(path).relative_to(context.folder))) for path in replaced]
        raise OutputReplaced(
            f"{few(names, 3)} in output_dir {str(context.folder)!r}: not as this run has written "
            "it; somebody else wrote there meanwhile: resume with an output_dir of its own, such "
            "as results/{run}"
        )
