"""Blobs in tests of transfers: with their SAS, as resource files, as output files."""

from datetime import UTC, datetime, timedelta

from azure.batch import models
from azure.storage.blob import ContainerClient, generate_blob_sas, generate_container_sas


def signed(container: ContainerClient, permission: str) -> str:
    """Return the container's URL with a SAS."""
    token = generate_container_sas(
        str(container.account_name),
        container.container_name,
        account_key=container.credential.account_key,
        permission=permission,
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{container.url}?{token}"


def blob(container: ContainerClient, name: str, content: bytes) -> str:
    """Write a blob and return its URL with a SAS that can read it."""
    client = container.upload_blob(name, content)
    token = generate_blob_sas(
        str(container.account_name),
        container.container_name,
        name,
        account_key=container.credential.account_key,
        permission="r",
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{client.url}?{token}"


def file_in(url: str, path: str = "in.txt", mode: str | None = None) -> models.ResourceFile:
    """Return a resource file of one blob."""
    return models.ResourceFile(http_url=url, file_path=path, file_mode=mode)


def files_out(
    url: str,
    pattern: str,
    path: str | None = None,
    condition: str = "taskcompletion",
    headers: dict[str, str] | None = None,
) -> list[models.OutputFile]:
    """Return the output files of one pattern."""
    given = [models.OutputFileUploadHeader(name=n, value=v) for n, v in (headers or {}).items()]
    container = models.OutputFileBlobContainerDestination(
        container_url=url, path=path, upload_headers=given
    )
    return [
        models.OutputFile(
            file_pattern=pattern,
            destination=models.OutputFileDestination(container=container),
            upload_options=models.OutputFileUploadConfiguration(upload_condition=condition),
        )
    ]


def blobs(container: ContainerClient) -> dict[str, bytes]:
    """Return what is in a container."""
    names = list(container.list_blob_names())
    return {name: container.download_blob(name).readall() for name in names}
