"""Containers and what is in them before the job: the node program and the inputs."""

from collections.abc import Sequence
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from prefect.logging import get_run_logger

from flows.errors import ConfigurationError, NotOwned
from flows.runs import Run
from flows.sas import account_key
from flows.services import Services, error_code, step
from flows.work import InputFile

PROJECT = Path(__file__).resolve().parents[2]


def node_program_path(node_program: str) -> Path:
    """Return the node program's file; a relative path starts at the project's folder.

    Raises:
        ConfigurationError: there is no such file.
    """
    path = PROJECT / node_program
    if not path.is_file():
        raise ConfigurationError(f"job.node_program {str(path)!r} is no file: name a Python file")
    return path


@step("check the storage account")
def check_storage(services: Services) -> None:
    """Make one cheap call, so that a wrong endpoint or key is an error before anything exists.

    Raises:
        ConfigurationError: the client has no account key to sign SAS URLs with.
        ServiceError: the service could not be reached or refused the key.
    """
    account_key(services.blobs)
    next(iter(services.blobs.list_containers(results_per_page=1)), None)


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
    services: Services, run: Run, node_program: str, inputs: Sequence[InputFile]
) -> None:
    """Upload the node program and the inputs; what is there already is written again."""
    program = node_program_path(node_program)
    _upload(services.blobs, run.application_container, program.name, program)
    for source in inputs:
        if source.path is None:
            continue
        _upload(services.blobs, run.input_container, source.name, source.path)
        get_run_logger().debug("uploaded %s as %s", source.path, source.name)
    get_run_logger().info("uploaded %s and %d inputs", program.name, len(inputs))


def _upload(blobs: BlobServiceClient, container: str, name: str, path: Path) -> None:
    with path.open("rb") as file:
        blobs.get_blob_client(container, name).upload_blob(
            file, overwrite=True, length=path.stat().st_size
        )
