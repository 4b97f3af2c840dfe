"""Builders of what is sent to the services, from settings; pure: no calls, no clock."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from azure.batch.models import (
    AutoUserScope,
    AutoUserSpecification,
    BatchJobConstraints,
    BatchJobCreateOptions,
    BatchJobPreparationTask,
    BatchJobReleaseTask,
    BatchMetadataItem,
    BatchPoolCreateOptions,
    BatchPoolInfo,
    BatchStartTask,
    BatchTaskConstraints,
    BatchTaskCreateOptions,
    BatchVmImageReference,
    ElevationLevel,
    EnvironmentSetting,
    OutputFile,
    OutputFileBlobContainerDestination,
    OutputFileDestination,
    OutputFileUploadCondition,
    OutputFileUploadConfiguration,
    ResourceFile,
    UserIdentity,
    VirtualMachineConfiguration,
)

from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace, NodeFile, NodeOutput, PlannedTask
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.settings import JobSettings, PoolSettings, minutes_at_least

UrlOf = Callable[[BlobPlace], str]
"""Gives the read-only SAS URL of a blob."""

SHARED_FOLDER = '"$AZ_BATCH_NODE_SHARED_DIR"'
SHORTEST_RESIZE_MIN = 5
# The shortest that the service takes: with a longer one many runs would end before it acts.
AUTOSCALE_INTERVAL = timedelta(minutes=5)


def shell_command(commands: Sequence[str]) -> str:
    """Wrap commands into one bash command line; the first one that fails ends it.

    Args:
        commands: shell commands; what is data in them must already be quoted.
    """
    script = "; ".join(["set -e", "set -o pipefail", *commands])
    return f"/bin/bash -c {shlex.quote(script)}"


def node_folder(run: Run) -> str:
    """Return the folder with the workload's files on the run's nodes, quoted for bash.

    Nodes of an existing pool may serve several runs at once: there each job has its own.
    """
    return f"{SHARED_FOLDER}/{run.job_id}" if run.existing_pool_id else SHARED_FOLDER


def metadata(run: Run) -> list[BatchMetadataItem]:
    """Return the run's marks as pools and jobs bear them."""
    return [BatchMetadataItem(name=name, value=value) for name, value in run.metadata.items()]


def marks(items: Iterable[BatchMetadataItem] | None) -> dict[str, str]:
    """Return the marks that a pool or job bears."""
    return {item.name: item.value for item in items or ()}


def start_task(
    run: Run, workload: Workload[Any], settings: PoolSettings, read_url: UrlOf
) -> BatchStartTask:
    """Build the start task: it puts the workload's files into the node's shared folder.

    Args:
        run: whose application container has the files.
        workload: what the nodes need.
        settings: the extra command and the number of retries.
        read_url: gives the read-only SAS URL of a blob.
    """
    extra = [settings.start_task_command] if settings.start_task_command else []
    return BatchStartTask(
        command_line=shell_command([*workload.set_up(SHARED_FOLDER), *extra]),
        resource_files=_resource_files(node_files(run, workload), read_url),
        user_identity=_plain_user(),
        max_task_retry_count=settings.start_task_retries,
        wait_for_success=True,
    )


def node_files(run: Run, workload: Workload[Any]) -> list[NodeFile]:
    """Return what every node gets, as it lies in the working directory of the set-up."""
    places = (upload.place for upload in workload.node_files(run))
    return [NodeFile(place, place.name) for place in places]


def _resource_files(files: Sequence[NodeFile], read_url: UrlOf) -> list[ResourceFile]:
    return [ResourceFile(http_url=read_url(file.blob), file_path=file.file_path) for file in files]


def _plain_user() -> UserIdentity:
    # One user for the start task, the job's preparation and all batch tasks: they read what
    # those copied.
    return UserIdentity(
        auto_user=AutoUserSpecification(
            scope=AutoUserScope.POOL, elevation_level=ElevationLevel.NON_ADMIN
        )
    )


def pool(
    run: Run, settings: PoolSettings, node_agent: str, start: BatchStartTask
) -> BatchPoolCreateOptions:
    """Build the run's pool: of fixed size, or sized by a formula.

    Args:
        run: names and marks.
        settings: image, VM size, and counts or formula.
        node_agent: the node agent SKU id that goes with the image.
        start: what each node does first.
    """
    image = BatchVmImageReference(
        publisher=settings.image_publisher,
        offer=settings.image_offer,
        sku=settings.image_sku,
        version="latest",
    )
    is_fixed = settings.autoscale_formula is None
    formula = capped_formula(settings.autoscale_formula or "", settings.max_nodes)
    return BatchPoolCreateOptions(
        id=run.pool_id,
        vm_size=settings.vm_size,
        virtual_machine_configuration=VirtualMachineConfiguration(
            image_reference=image, node_agent_sku_id=node_agent
        ),
        target_dedicated_nodes=settings.dedicated_nodes if is_fixed else None,
        target_low_priority_nodes=settings.spot_nodes if is_fixed else None,
        enable_auto_scale=not is_fixed,
        auto_scale_formula=None if is_fixed else formula,
        auto_scale_evaluation_interval=None if is_fixed else AUTOSCALE_INTERVAL,
        resize_timeout=minutes_at_least(settings.allocation_timeout_s, SHORTEST_RESIZE_MIN),
        task_slots_per_node=settings.task_slots_per_node,
        start_task=start,
        metadata=metadata(run),
    )


def capped_formula(formula: str, max_nodes: int) -> str:
    """Return an autoscale formula that never asks for more nodes than that, of both kinds."""
    text = formula.rstrip().rstrip(";")
    rest = f"{max_nodes} - max(0, $TargetDedicatedNodes)"
    return (
        f"{text};\n$TargetDedicatedNodes = min($TargetDedicatedNodes, {max_nodes});\n"
        f"$TargetLowPriorityNodes = min($TargetLowPriorityNodes, {rest});"
    )


def job(
    run: Run,
    workload: Workload[Any],
    settings: JobSettings,
    container_url: str,
    read_url: UrlOf,
) -> BatchJobCreateOptions:
    """Build the run's job; it is set to end by itself only once its batch tasks are in.

    Args:
        run: names and marks.
        workload: what the nodes need, and whether its programs upload by themselves.
        settings: priority, time limit, preparation and release.
        container_url: create/write SAS URL of the output container.
        read_url: gives the read-only SAS URL of a blob.
    """
    variable = workload.output_url_variable
    return BatchJobCreateOptions(
        id=run.job_id,
        pool_info=BatchPoolInfo(pool_id=run.pool_id),
        priority=settings.priority,
        job_preparation_task=_preparation(run, workload, settings, read_url),
        job_release_task=_release(run, settings),
        constraints=BatchJobConstraints(
            max_wall_clock_time=timedelta(seconds=settings.max_wall_clock_time_s)
        ),
        common_environment_settings=(
            [EnvironmentSetting(name=variable, value=container_url)] if variable else []
        ),
        metadata=metadata(run),
    )


def _preparation(
    run: Run, workload: Workload[Any], settings: JobSettings, read_url: UrlOf
) -> BatchJobPreparationTask | None:
    """Build what a node does before its first batch task of the job, if there is anything.

    An existing pool has a start task of its own, so there the workload's files come this way. A
    job with a release task must have a preparation task, be it one that does nothing.
    """
    folder = node_folder(run)
    set_up = [f"mkdir -p -- {folder}", *workload.set_up(folder)] if run.existing_pool_id else []
    extra = [settings.preparation_command] if settings.preparation_command else []
    if not (set_up or extra or settings.release_command):
        return None
    files = node_files(run, workload) if set_up else []
    return BatchJobPreparationTask(
        command_line=shell_command([*set_up, *extra]),
        resource_files=_resource_files(files, read_url),
        user_identity=_plain_user(),
        constraints=_limits(settings),
        wait_for_success=True,
    )


def _release(run: Run, settings: JobSettings) -> BatchJobReleaseTask | None:
    # The workload's files go first: a command that fails must not leave them on a node for ever.
    removes = [f"rm -rf -- {node_folder(run)}"] if run.existing_pool_id else []
    extra = [settings.release_command] if settings.release_command else []
    if not (removes or extra):
        return None
    return BatchJobReleaseTask(
        command_line=shell_command([*removes, *extra]), user_identity=_plain_user()
    )


def batch_task(  # noqa: PLR0913, PLR0917 - what a request is made of
    planned: PlannedTask,
    run: Run,
    workload: Workload[Any],
    settings: JobSettings,
    container_url: str,
    read_url: UrlOf,
) -> BatchTaskCreateOptions:
    """Build a batch task.

    Args:
        planned: what it reads, runs and leaves.
        run: whose nodes it runs on.
        workload: gives its commands.
        settings: limits.
        container_url: create/write SAS URL of the output container, for what the service uploads.
        read_url: gives the read-only SAS URL of a blob.
    """
    return BatchTaskCreateOptions(
        id=planned.id,
        command_line=shell_command(workload.commands(planned, node_folder(run))),
        resource_files=_resource_files(planned.files, read_url),
        environment_settings=[
            EnvironmentSetting(name=name, value=read_url(place))
            for name, place in planned.read_urls
        ],
        output_files=[
            _log_upload(planned.id, settings, container_url),
            *(_output_upload(output, container_url) for output in planned.uploads),
        ],
        user_identity=_plain_user(),
        constraints=_limits(settings),
    )


def _limits(settings: JobSettings) -> BatchTaskConstraints:
    return BatchTaskConstraints(
        max_wall_clock_time=timedelta(seconds=settings.batch_task_max_wall_clock_time_s),
        retention_time=timedelta(seconds=settings.retention_time_s),
        max_task_retry_count=settings.max_task_retry_count,
    )


def _log_upload(batch_task_id: str, settings: JobSettings, container_url: str) -> OutputFile:
    condition = OutputFileUploadCondition
    return OutputFile(
        file_pattern="../std*.txt",
        destination=OutputFileDestination(
            container=OutputFileBlobContainerDestination(
                path=log_folder(batch_task_id), container_url=container_url
            )
        ),
        upload_options=OutputFileUploadConfiguration(
            upload_condition=condition.TASK_COMPLETION
            if settings.keep_all_logs
            else condition.TASK_FAILURE
        ),
    )


def _output_upload(output: NodeOutput, container_url: str) -> OutputFile:
    return OutputFile(
        file_pattern=output.file_path,
        destination=OutputFileDestination(
            container=OutputFileBlobContainerDestination(
                path=output.name, container_url=container_url
            )
        ),
        upload_options=OutputFileUploadConfiguration(
            upload_condition=OutputFileUploadCondition.TASK_SUCCESS
        ),
    )


def log_folder(batch_task_id: str) -> str:
    """Return the folder of the output container that holds a batch task's stdout and stderr."""
    return f"logs/{batch_task_id}"
