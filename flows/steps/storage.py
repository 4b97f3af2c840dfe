"""Containers and what is in them before the job: the node program and the inputs; and SAS URLs."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)
from prefect.logging import get_run_logger

from flows.errors import ConfigurationError, NotOwned
from flows.inputs import InputFile
from flows.runs import Run
from flows.services import Services, error_code, step

PROJECT = Path(__file__).resolve().parents[2]
# Clocks of this machine, the service and the nodes may differ by some minutes.
CLOCK_SKEW = timedelta(minutes=5)


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
    _account_key(services.blobs)
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
        _upload(services.blobs, run.input_container, source.name, source.path)
        get_run_logger().debug("uploaded %s as %s", source.path, source.name)
    get_run_logger().info("uploaded %s and %d inputs", program.name, len(inputs))


def _upload(blobs: BlobServiceClient, container: str, name: str, path: Path) -> None:
    with path.open("rb") as file:
        blobs.get_blob_client(container, name).upload_blob(
            file, overwrite=True, length=path.stat().st_size
        )


def read_url(blobs: BlobServiceClient, run: Run, container: str, name: str) -> str:
    """Return a SAS URL that can only read one blob, until the run's deadline."""
    blob = blobs.get_blob_client(container, name)
    token = generate_blob_sas(
        account_name=str(blob.account_name),
        container_name=container,
        blob_name=name,
        account_key=_account_key(blobs),
        permission=BlobSasPermissions(read=True),
        start=datetime.now(UTC) - CLOCK_SKEW,
        expiry=run.deadline + CLOCK_SKEW,
        protocol=_protocol(blob.url),
    )
    return f"{blob.url}?{token}"


def write_url(blobs: BlobServiceClient, run: Run) -> str:
    """Return a SAS URL that can only create and write in the output container.

    Create alone would not do: a batch task that is repeated overwrites its output.
    """
    container = blobs.get_container_client(run.output_container)
    token = generate_container_sas(
        account_name=str(container.account_name),
        container_name=run.output_container,
        account_key=_account_key(blobs),
        permission=ContainerSasPermissions(create=True, write=True),
        start=datetime.now(UTC) - CLOCK_SKEW,
        expiry=run.deadline + CLOCK_SKEW,
        protocol=_protocol(container.url),
    )
    return f"{container.url}?{token}"


def _protocol(url: str) -> str:
    # An http endpoint is one of this machine (blocks/checks.py); elsewhere a SAS needs https.
    return "https" if url.startswith("https:") else "https,http"


def _account_key(blobs: BlobServiceClient) -> str:
    key = getattr(blobs.credential, "account_key", None)
    if not key:
        raise ConfigurationError(
            "the storage credentials hold no account key, which signing SAS URLs needs: "
            "set key or connection_string"
        )
    return str(key)
