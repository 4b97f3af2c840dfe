"""Containers and what is in them before the job: the node program and the inputs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.core.pipeline import PipelineResponse
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import ConfigurationError, NotOwned
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, NodeFile, PlannedTask
from prefect_azure_batch.service.clients import Services, error_code, step
from prefect_azure_batch.service.sas import CLOCK_SKEW
from prefect_azure_batch.service.specs import WORD_COUNTER
from prefect_azure_batch.settings import JobSettings
from prefect_azure_batch.staging.archives import readable_size, uploads_of
from prefect_azure_batch.staging.stale_outputs import recipe_of, settle_outputs
from prefect_azure_batch.staging.uploads import not_stored, send_all, stored_digests

PROGRAMS = Path(__file__).resolve().parents[2] / "tasks_node"
MACHINES = ("x86_64", "aarch64")
"""Kinds of nodes that there can be an accelerator for."""


def program_files(job: JobSettings) -> list[Path]:
    """Return what the nodes run: the user's own program, or the word counter and accelerators.

    Raises:
        ConfigurationError: there is no such file.
    """
    if job.program is not None:
        own = Path(job.program).absolute()
        if not own.is_file():
            raise ConfigurationError(f"job.program {str(own)!r} is no file: name a Python file")
        return [own]
    path = PROGRAMS / WORD_COUNTER
    beside = (path.with_name(f"{path.stem}-{machine}.so") for machine in MACHINES)
    return [path, *(file for file in beside if file.is_file())]


def program_blobs(run: Run, job: JobSettings) -> list[NodeFile]:
    """Return what the nodes run as blobs of the run's application container."""
    return [
        NodeFile(BlobPlace(run.application_container, path.name), path.name)
        for path in program_files(job)
    ]


@step("check the storage account")
def check_storage(services: Services) -> None:
    """Make one cheap call, so that a wrong endpoint or key is an error before anything exists.

    Raises:
        ConfigurationError: the clocks of this machine and the service differ so much that SAS
            URLs would not be valid.
        ServiceError: the service could not be reached or refused the key.
    """
    dates: list[str] = []

    def keep_date(response: PipelineResponse[Any, Any]) -> None:
        """Note the service's time."""
        dates.append(response.http_response.headers.get("Date", ""))

    listing = services.blobs.list_containers(results_per_page=1, raw_response_hook=keep_date)
    next(iter(listing), None)
    check_clock(dates[-1], datetime.now(UTC))


def check_clock(date: str, now: datetime) -> None:
    """Check that a SAS of this machine's clock is valid by the service's.

    Args:
        date: the header of an answer; empty if it has none.
        now: this machine's time.

    Raises:
        ConfigurationError: the clocks are too far apart.
    """
    ahead = now - parsedate_to_datetime(date) if date else timedelta(0)
    if abs(ahead) > CLOCK_SKEW:
        raise ConfigurationError(
            f"this machine's clock is {ahead.total_seconds():+.0f} s from the storage service's: "
            "set it right, for SAS URLs are valid by the clock"
        )


@step("create containers")
def create_containers(services: Services, run: Run) -> None:
    """Create the run's three containers, or accept its own.

    Raises:
        NotOwned: a container of that name belongs to another run.
    """
    for name in run.containers:
        container = services.blobs.get_container_client(name)
        try:
            container.create_container(metadata=run.metadata)
        except ResourceExistsError as error:
            if error_code(error) != "ContainerAlreadyExists":
                raise
            if not run.owns(dict(container.get_container_properties().metadata)):
                raise NotOwned("container", name) from error
    get_run_logger().info("created containers %s", ", ".join(run.containers))


@step("upload node program and inputs")
def upload_files(
    services: Services,
    run: Run,
    job: JobSettings,
    inputs: Sequence[InputFile],
    levels: Sequence[Sequence[PlannedTask]] = (),
) -> None:
    """Upload node program, inputs and bundles; what is there with the same content stays.

    Outputs of an earlier attempt that were made of other content are deleted first.

    Args:
        services: the clients.
        run: names the containers.
        job: which program.
        inputs: what is counted.
        levels: the batch tasks, those that read what others write after them.

    Raises:
        BadInput: a file cannot be read.
    """
    programs = program_files(job)
    planned = [item for level in levels for item in level]
    uploads = uploads_of(run, programs, inputs, planned)
    stored = stored_digests(services, (run.application_container, run.input_container))
    needed = not_stored(services, uploads, stored)
    changed = frozenset(upload.place for upload in needed)
    recipe = recipe_of(programs[0], inputs, levels, is_own=job.program is not None)
    settle_outputs(services, run, recipe, levels, changed)
    send_all(services, needed)
    get_run_logger().info(
        "uploaded %d blobs, %s (node program: %s); %d were there already",
        len(needed),
        readable_size(sum(upload.size for upload in needed)),
        ", ".join(path.name for path in programs),
        len(uploads) - len(needed),
    )
