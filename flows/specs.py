"""Builders of what is sent to the services, from settings; pure: no calls, no clock."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import PurePath
from typing import TypeVar

from azure.batch.models import (
    AutoUserScope,
    AutoUserSpecification,
    BatchJobConstraints,
    BatchJobCreateOptions,
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

from flows.runs import Run
from flows.settings import JobSettings, PoolSettings, minutes_at_least
from flows.work import BlobPlace, PlannedTask

Item = TypeVar("Item")

CONTAINER_URL_VARIABLE = "TOP_WORDS_CONTAINER_URL"
INPUT_URL_VARIABLE = "TOP_WORDS_INPUT_URL"
SHARED_FOLDER = '"$AZ_BATCH_NODE_SHARED_DIR"'
SHORTEST_RESIZE_MIN = 5


def shell_command(commands: Sequence[str]) -> str:
    """Wrap commands into one bash command line; the first one that fails ends it.

    Args:
        commands: shell commands; what is data in them must already be quoted.
    """
    script = "; ".join(["set -e", "set -o pipefail", *commands])
    return f"/bin/bash -c {shlex.quote(script)}"


def node_command(program: PurePath, arguments: Sequence[str]) -> str:
    """Return the command line of a batch task; arguments are data in it, never code.

    Args:
        program: the node program; the start task has put it into the node's shared folder.
        arguments: its arguments.
    """
    path = f"{SHARED_FOLDER}/{shlex.quote(program.name)}"
    return shell_command([f"python3 {path} {shlex.join(arguments)}"])


def metadata(run: Run) -> list[BatchMetadataItem]:
    """Return the run's marks as pools and jobs bear them."""
    return [BatchMetadataItem(name=name, value=value) for name, value in run.metadata.items()]


def start_task(program: PurePath, program_url: str, settings: PoolSettings) -> BatchStartTask:
    """Build the start task: it copies the node program to the node's shared folder.

    Args:
        program: the node program; its name is kept.
        program_url: read-only SAS URL of its blob.
        settings: the extra command and the number of retries.
    """
    commands = [f"cp -p -- {shlex.quote(program.name)} {SHARED_FOLDER}/"]
    if settings.start_task_command:
        commands.append(settings.start_task_command)
    return BatchStartTask(
        command_line=shell_command(commands),
        resource_files=[ResourceFile(http_url=program_url, file_path=program.name)],
        user_identity=_plain_user(),
        max_task_retry_count=settings.start_task_retries,
        wait_for_success=True,
    )


def _plain_user() -> UserIdentity:
    # One user for the start task and all batch tasks: they read what it copied.
    return UserIdentity(
        auto_user=AutoUserSpecification(
            scope=AutoUserScope.POOL, elevation_level=ElevationLevel.NON_ADMIN
        )
    )


def pool(
    run: Run, settings: PoolSettings, node_agent: str, start: BatchStartTask
) -> BatchPoolCreateOptions:
    """Build the run's pool.

    Args:
        run: names and marks.
        settings: image, size and counts.
        node_agent: the node agent SKU id that goes with the image.
        start: what each node does first.
    """
    image = BatchVmImageReference(
        publisher=settings.image_publisher,
        offer=settings.image_offer,
        sku=settings.image_sku,
        version="latest",
    )
    return BatchPoolCreateOptions(
        id=run.pool_id,
        vm_size=settings.vm_size,
        virtual_machine_configuration=VirtualMachineConfiguration(
            image_reference=image, node_agent_sku_id=node_agent
        ),
        target_dedicated_nodes=settings.dedicated_nodes,
        resize_timeout=minutes_at_least(settings.allocation_timeout_s, SHORTEST_RESIZE_MIN),
        task_slots_per_node=settings.task_slots_per_node,
        start_task=start,
        metadata=metadata(run),
    )


def job(run: Run, settings: JobSettings, container_url: str) -> BatchJobCreateOptions:
    """Build the run's job; it is told to end by itself only once its batch tasks are in.

    Args:
        run: names and marks.
        settings: the time limit.
        container_url: create/write SAS URL of the output container, for every batch task.
    """
    return BatchJobCreateOptions(
        id=run.job_id,
        pool_info=BatchPoolInfo(pool_id=run.pool_id),
        constraints=BatchJobConstraints(
            max_wall_clock_time=timedelta(seconds=settings.max_wall_clock_time_s)
        ),
        common_environment_settings=[
            EnvironmentSetting(name=CONTAINER_URL_VARIABLE, value=container_url)
        ],
        metadata=metadata(run),
    )


def batch_task(
    planned: PlannedTask,
    read_url: Callable[[BlobPlace], str],
    container_url: str,
    settings: JobSettings,
) -> BatchTaskCreateOptions:
    """Build a batch task.

    Args:
        planned: what it reads, runs and leaves.
        read_url: gives the read-only SAS URL of a blob.
        container_url: create/write SAS URL of the output container, for stdout and stderr.
        settings: node program and limits.
    """
    environment = []
    if planned.url_of:
        value = read_url(planned.url_of)
        environment.append(EnvironmentSetting(name=INPUT_URL_VARIABLE, value=value))
    return BatchTaskCreateOptions(
        id=planned.id,
        command_line=node_command(PurePath(settings.node_program), planned.arguments),
        resource_files=[
            ResourceFile(http_url=read_url(file.blob), file_path=file.file_path)
            for file in planned.files
        ],
        environment_settings=environment,
        output_files=[_log_upload(planned.id, container_url)],
        user_identity=_plain_user(),
        constraints=BatchTaskConstraints(
            max_wall_clock_time=timedelta(seconds=settings.batch_task_max_wall_clock_time_s),
            retention_time=timedelta(seconds=settings.retention_time_s),
            max_task_retry_count=settings.max_task_retry_count,
        ),
    )


def _log_upload(batch_task_id: str, container_url: str) -> OutputFile:
    return OutputFile(
        file_pattern="../std*.txt",
        destination=OutputFileDestination(
            container=OutputFileBlobContainerDestination(
                path=log_folder(batch_task_id), container_url=container_url
            )
        ),
        upload_options=OutputFileUploadConfiguration(
            upload_condition=OutputFileUploadCondition.TASK_COMPLETION
        ),
    )


def log_folder(batch_task_id: str) -> str:
    """Return the folder of the output container that holds a batch task's stdout and stderr."""
    return f"logs/{batch_task_id}"


def chunks(items: Sequence[Item], size: int) -> Iterable[Sequence[Item]]:
    """Cut a sequence into pieces of at most `size` items."""
    return (items[start : start + size] for start in range(0, len(items), size))
