"""Builders of what is sent to the services, from settings; pure: no calls, no clock."""

import shlex
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import PurePath

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
from prefect_azure_batch.model.tasks import BlobPlace, NodeFile, PlannedTask
from prefect_azure_batch.settings import JobSettings, PoolSettings, minutes_at_least
from prefect_azure_batch.workloads.own_program import UPLOADED, program_commands

UrlOf = Callable[[BlobPlace], str]
"""Gives the read-only SAS URL of a blob."""

WORD_COUNTER = PurePath("top_words.py")
CONTAINER_URL_VARIABLE = "TOP_WORDS_CONTAINER_URL"
INPUT_URL_VARIABLE = "TOP_WORDS_INPUT_URL"
SHARED_FOLDER = '"$AZ_BATCH_NODE_SHARED_DIR"'
SHORTEST_RESIZE_MIN = 5
# The shortest that the service takes: a run is over before a longer one has answered its load.
AUTOSCALE_INTERVAL = timedelta(minutes=5)


def shell_command(commands: Sequence[str]) -> str:
    """Wrap commands into one bash command line; the first one that fails ends it.

    Args:
        commands: shell commands; what is data in them must already be quoted.
    """
    script = "; ".join(["set -e", "set -o pipefail", *commands])
    return f"/bin/bash -c {shlex.quote(script)}"


def program_folder(run: Run) -> str:
    """Return the folder that holds the node program on the run's nodes, quoted for bash.

    Nodes of an existing pool may serve several runs at once: there each job has its own.
    """
    return f"{SHARED_FOLDER}/{run.job_id}" if run.existing_pool_id else SHARED_FOLDER


def node_command(program: PurePath, arguments: Sequence[str], folder: str) -> str:
    """Return the command line of the word counter; arguments are data in it, never code.

    Args:
        program: the word counter.
        arguments: its arguments.
        folder: where the start task or the job's preparation has put it, quoted for bash.
    """
    path = f"{folder}/{shlex.quote(compiled_name(program.name))}"
    return shell_command([f"python3 {path} {shlex.join(arguments)}"])


def compiled_name(name: str) -> str:
    """Return the file that a node has made of a Python program."""
    return f"{PurePath(name).stem}.pyc"


def metadata(run: Run) -> list[BatchMetadataItem]:
    """Return the run's marks as pools and jobs bear them."""
    return [BatchMetadataItem(name=name, value=value) for name, value in run.metadata.items()]


def start_task(
    programs: Sequence[NodeFile], read_url: UrlOf, settings: PoolSettings, *, is_own: bool = False
) -> BatchStartTask:
    """Build the start task: it copies the node program to the node's shared folder.

    Args:
        programs: the node program and what must lie beside it; names are kept.
        read_url: gives the read-only SAS URL of a blob.
        settings: the extra command and the number of retries.
        is_own: whether the program is the user's own.
    """
    extra = [settings.start_task_command] if settings.start_task_command else []
    return BatchStartTask(
        command_line=shell_command(
            [*install_commands(programs, SHARED_FOLDER, is_own=is_own), *extra]
        ),
        resource_files=_resource_files(programs, read_url),
        user_identity=_plain_user(),
        max_task_retry_count=settings.start_task_retries,
        wait_for_success=True,
    )


def install_commands(
    programs: Sequence[NodeFile], folder: str, *, is_own: bool = False
) -> list[str]:
    """Return the commands that put a node program in place.

    The word counter is compiled once for all batch tasks: Python keeps no compiled form of a
    script that it runs, and would compile it in each of them. A program of the user's own is run
    as it is, under the name that it has.

    Args:
        programs: the node program, in Python, and what must lie beside it.
        folder: where to, quoted for bash.
        is_own: whether the program is the user's own.
    """
    names = [program.file_path for program in programs]
    copies = f"cp -p -- {shlex.join(names)} {folder}/"
    if is_own:
        return [copies]
    return [
        copies,
        f"python3 -m py_compile {shlex.quote(f'./{names[0]}')}",
        f"cp -- __pycache__/*.pyc {folder}/{shlex.quote(compiled_name(names[0]))}",
    ]


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
    settings: JobSettings,
    container_url: str,
    programs: Sequence[NodeFile],
    read_url: UrlOf,
) -> BatchJobCreateOptions:
    """Build the run's job; it is told to end by itself only once its batch tasks are in.

    Args:
        run: names and marks.
        settings: priority, time limit, preparation and release.
        container_url: create/write SAS URL of the output container, for every batch task of the
            word counter, which uploads by itself.
        programs: the node program and what must lie beside it.
        read_url: gives the read-only SAS URL of a blob.
    """
    variables = (
        [EnvironmentSetting(name=CONTAINER_URL_VARIABLE, value=container_url)]
        if settings.program is None
        else []
    )
    return BatchJobCreateOptions(
        id=run.job_id,
        pool_info=BatchPoolInfo(pool_id=run.pool_id),
        priority=settings.priority,
        job_preparation_task=_preparation(run, settings, programs, read_url),
        job_release_task=_release(run, settings),
        constraints=BatchJobConstraints(
            max_wall_clock_time=timedelta(seconds=settings.max_wall_clock_time_s)
        ),
        common_environment_settings=variables,
        metadata=metadata(run),
    )


def _preparation(
    run: Run, settings: JobSettings, programs: Sequence[NodeFile], read_url: UrlOf
) -> BatchJobPreparationTask | None:
    """Build what a node does before its first batch task of the job, if there is anything.

    An existing pool has a start task of its own, so there the node program comes this way. A job
    with a release task must have a preparation task, be it one that does nothing.
    """
    folder = program_folder(run)
    brings = (
        [
            f"mkdir -p -- {folder}",
            *install_commands(programs, folder, is_own=settings.program is not None),
        ]
        if run.existing_pool_id
        else []
    )
    extra = [settings.preparation_command] if settings.preparation_command else []
    if not (brings or extra or settings.release_command):
        return None
    return BatchJobPreparationTask(
        command_line=shell_command([*brings, *extra]),
        resource_files=_resource_files(programs, read_url) if brings else [],
        user_identity=_plain_user(),
        constraints=_limits(settings),
        wait_for_success=True,
    )


def _release(run: Run, settings: JobSettings) -> BatchJobReleaseTask | None:
    # The node program goes first: a command that fails must not leave it on a node for ever.
    removes = [f"rm -rf -- {program_folder(run)}"] if run.existing_pool_id else []
    extra = [settings.release_command] if settings.release_command else []
    if not (removes or extra):
        return None
    return BatchJobReleaseTask(
        command_line=shell_command([*removes, *extra]), user_identity=_plain_user()
    )


def batch_task(
    planned: PlannedTask,
    run: Run,
    settings: JobSettings,
    container_url: str,
    read_url: UrlOf,
) -> BatchTaskCreateOptions:
    """Build a batch task.

    Args:
        planned: what it reads, runs and leaves.
        run: whose nodes it runs on.
        settings: program and limits.
        container_url: create/write SAS URL of the output container, for stdout and stderr, and for
            the output of a program of the user's own.
        read_url: gives the read-only SAS URL of a blob.
    """
    environment = []
    if planned.url_of:
        value = read_url(planned.url_of)
        environment.append(EnvironmentSetting(name=INPUT_URL_VARIABLE, value=value))
    return BatchTaskCreateOptions(
        id=planned.id,
        command_line=_command_line(planned, run, settings),
        resource_files=_resource_files(planned.files, read_url),
        environment_settings=environment,
        output_files=[
            _log_upload(planned.id, settings, container_url),
            *(_output_upload(name, container_url) for name in planned.outputs if settings.program),
        ],
        user_identity=_plain_user(),
        constraints=_limits(settings),
    )


def _command_line(planned: PlannedTask, run: Run, settings: JobSettings) -> str:
    folder = program_folder(run)
    if settings.program is None:
        return node_command(WORD_COUNTER, planned.arguments, folder)
    path = f"{folder}/{shlex.quote(PurePath(settings.program).name)}"
    return shell_command(program_commands(path, planned.arguments))


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


def _output_upload(name: str, container_url: str) -> OutputFile:
    return OutputFile(
        file_pattern=UPLOADED,
        destination=OutputFileDestination(
            container=OutputFileBlobContainerDestination(path=name, container_url=container_url)
        ),
        upload_options=OutputFileUploadConfiguration(
            upload_condition=OutputFileUploadCondition.TASK_SUCCESS
        ),
    )


def log_folder(batch_task_id: str) -> str:
    """Return the folder of the output container that holds a batch task's stdout and stderr."""
    return f"logs/{batch_task_id}"
