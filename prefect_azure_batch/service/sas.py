"""SAS URLs: what lets nodes read inputs and write outputs without the account's key."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    UserDelegationKey,
    generate_blob_sas,
    generate_container_sas,
)

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace

# Clocks of this machine, the service and the nodes may differ by some minutes.
CLOCK_SKEW = timedelta(minutes=5)
# The service issues no user delegation key for longer.
LONGEST_DELEGATION = timedelta(days=7)


def read_url(blobs: BlobServiceClient, run: Run, place: BlobPlace) -> str:
    """Return a SAS URL that can only read one blob, until the run's deadline.

    Raises:
        ConfigurationError: the run is longer than the service lets it be without an account key.
    """
    blob = blobs.get_blob_client(place.container, place.name)
    token = generate_blob_sas(
        container_name=place.container,
        blob_name=place.name,
        permission=BlobSasPermissions(read=True),
        **_terms(blobs, run),
    )
    return f"{blob.url}?{token}"


def write_url(blobs: BlobServiceClient, run: Run) -> str:
    """Return a SAS URL that can only create and write in the output container.

    Create alone would not do: a batch task that is repeated overwrites its output.

    Raises:
        ConfigurationError: the run is longer than the service lets it be without an account key.
    """
    container = blobs.get_container_client(run.output_container)
    token = generate_container_sas(
        container_name=run.output_container,
        permission=ContainerSasPermissions(create=True, write=True),
        **_terms(blobs, run),
    )
    return f"{container.url}?{token}"


def account_key(blobs: BlobServiceClient) -> str | None:
    """Return the account's key; None where Entra ID signed in."""
    key = getattr(blobs.credential, "account_key", None)
    return str(key) if key else None


def _terms(blobs: BlobServiceClient, run: Run) -> dict[str, Any]:
    """Return what all SAS URLs of a run have in common: who signs them, and when they hold."""
    expiry = run.deadline + CLOCK_SKEW
    key = account_key(blobs)
    signer = {"account_key": key} if key else {"user_delegation_key": _delegation(blobs, expiry)}
    return signer | {
        "account_name": str(blobs.account_name),
        "start": datetime.now(UTC) - CLOCK_SKEW,
        "expiry": expiry,
        # An http endpoint is one of this machine (checks.py); elsewhere a SAS needs https.
        "protocol": "https" if blobs.url.startswith("https:") else "https,http",
    }


# One call to the service for thousands of URLs; a client lives as long as a run.
@lru_cache(maxsize=4)
def _delegation(blobs: BlobServiceClient, expiry: datetime) -> UserDelegationKey:
    start = datetime.now(UTC) - CLOCK_SKEW
    if expiry - start > LONGEST_DELEGATION:
        raise ConfigurationError(
            f"the run may last until {expiry:%Y-%m-%d %H:%M} UTC, but without an account key SAS "
            f"URLs hold for {LONGEST_DELEGATION.days} days at most: lower "
            "job.max_wall_clock_time_s, or give the storage credentials a key"
        )
    return blobs.get_user_delegation_key(start, expiry)
