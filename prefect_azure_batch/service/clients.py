"""The clients of the two services, opened from the blocks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from azure.batch import BatchClient
from azure.storage.blob import BlobServiceClient

from prefect_azure_batch.credentials.batch import AzureBatchCredentials
from prefect_azure_batch.credentials.loading import plain_message
from prefect_azure_batch.credentials.storage import AzureStorageCredentials
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.service.movement import Movement, movement_of_run
from prefect_azure_batch.service.signals import check_signals


@dataclass(frozen=True)
class Services:
    """The clients of the two services.

    Attributes:
        batch: Azure Batch.
        blobs: Azure Blob Storage.
        guard: raises RunLost when the run that uses them must not continue; None before a run
            has begun, when an outage is an error at once.
        movement: notes each answer of a service, and each time that it is asked to continue.
    """

    batch: BatchClient
    blobs: BlobServiceClient
    guard: Callable[[], None] | None = None
    movement: Movement = field(default_factory=Movement)

    def check(self) -> None:
        """Return if their run may continue; every step begins with it, and every loop's turn.

        Raises:
            RunLost: it may not.
            BaseException: the process got a signal to end.
        """
        check_signals()
        self.movement.note()
        if self.guard:
            self.guard()


@contextmanager
def open_services(batch_name: str | None, storage_name: str | None) -> Iterator[Services]:
    """Open clients from saved blocks, or from the environment where no name is given.

    Raises:
        ConfigurationError: a block is absent, or a value is missing or wrong.
    """
    try:
        batch_block = AzureBatchCredentials.load_or_environment(batch_name)
        storage_block = AzureStorageCredentials.load_or_environment(storage_name)
    except ValueError as error:
        raise ConfigurationError(plain_message(error)) from error
    movement = movement_of_run.get() or Movement()
    with (
        batch_block.get_client(on_answer=movement.note) as batch,
        storage_block.get_client(on_answer=movement.note) as blobs,
    ):
        yield Services(batch, blobs, movement=movement)
