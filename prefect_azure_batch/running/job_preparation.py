"""Job preparation that fails: Batch then leaves the batch tasks active, and the job hangs."""

from azure.batch.models import BatchJobPreparationTaskExecutionInfo

from prefect_azure_batch.messages import indented
from prefect_azure_batch.running.pool_watch import PoolWatch, exit_evidence
from prefect_azure_batch.running.task_watch import ENDED_FROM_OUTSIDE
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.refusals import lowered
from prefect_azure_batch.settings import JobSettings


def failed_preparations(context: WorkContext, pool: PoolWatch) -> list[str]:
    """Return why no ready node takes batch tasks of the job; nothing if one still may.

    Args:
        context: whose job.
        pool: its nodes.
    """
    infos = {
        str(item.node_id): item.job_preparation_task_execution_info
        for item in context.batch.list_job_preparation_and_release_task_status(context.run.job_id)
        if item.job_preparation_task_execution_info
    }
    failed = {name: info for name, info in infos.items() if lowered(info.result) == "failure"}
    ready = pool.ready_nodes()
    if not ready or ready - failed.keys():
        return []
    name = min(ready)
    return [_cause(name, failed[name], pool) + _limit(failed[name], context.job)]


def _limit(info: BatchJobPreparationTaskExecutionInfo, settings: JobSettings) -> str:
    code = info.failure_info.code if info.failure_info else None
    if lowered(code) != ENDED_FROM_OUTSIDE:
        return ""
    limit_s = settings.batch_task_max_wall_clock_time_s
    return f"\nit is killed after job.batch_task_max_wall_clock_time_s ({limit_s} s)"


def _cause(node_id: str, info: BatchJobPreparationTaskExecutionInfo, pool: PoolWatch) -> str:
    folder = info.task_root_directory
    stderr = pool.stderr(node_id, f"{folder}/stderr.txt") if folder else ""
    return (
        f"the job preparation failed on node {node_id} and every other that is ready: "
        f"{exit_evidence(info)}; fix job.preparation_command{indented(stderr)}"
    )
