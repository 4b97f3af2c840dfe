"""SAS URLs: what lets nodes read inputs and write outputs without the account's key."""

from datetime import UTC, datetime, timedelta

from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

from flows.errors import ConfigurationError
from flows.runs import Run
from flows.work import BlobPlace

# Clocks of this machine, the service and the nodes may differ by some minutes.
CLOCK_SKEW = timedelta(minutes=5)


def read_url(blobs: BlobServiceClient, run: Run, place: BlobPlace) -> str:
    """Return a SAS URL that can only read one blob, until the run's deadline."""
    blob = blobs.get_blob_client(place.container, place.name)
    token = generate_blob_sas(
        account_name=str(blob.account_name),
        container_name=place.container,
        blob_name=place.name,
        account_key=account_key(blobs),
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
        account_key=account_key(blobs),
        permission=ContainerSasPermissions(create=True, write=True),
        start=datetime.now(UTC) - CLOCK_SKEW,
        expiry=run.deadline + CLOCK_SKEW,
        protocol=_protocol(container.url),
    )
    return f"{container.url}?{token}"


def _protocol(url: str) -> str:
    # An http endpoint is one of this machine (blocks/checks.py); elsewhere a SAS needs https.
    return "https" if url.startswith("https:") else "https,http"


def account_key(blobs: BlobServiceClient) -> str:
    """Return the key that signs SAS URLs.

    Raises:
        ConfigurationError: the credentials hold none.
    """
    key = getattr(blobs.credential, "account_key", None)
    if not key:
        raise ConfigurationError(
            "the storage credentials hold no account key, which signing SAS URLs needs: "
            "set key or connection_string"
        )
    return str(key)
