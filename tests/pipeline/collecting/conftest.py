"""A run and its output container, for what is read from there."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from azure.storage.blob import ContainerClient

from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings


@pytest.fixture
def run() -> Run:
    """A run that has nothing yet."""
    return new_run(uuid4(), 1, JobSettings(), CleanUpPolicy(), 0)


@pytest.fixture
def outputs(services: Services, run: Run) -> Iterator[ContainerClient]:
    """The run's output container."""
    with services.blobs.create_container(run.output_container) as container:
        yield container
        container.delete_container()
