"""The Batch emulator alone, once per run, and the check that no test leaves anything in it."""

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.storage.blob import BlobServiceClient, ContainerClient

from local_azure.client import Control
from tests.support.emulator.builders import a_job, a_pool
from tests.support.emulator.emulators import Account, Emulator, client_of, started
from tests.support.processes import wait_until


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The Batch emulator, one for the whole run."""
    with started(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def emulator_client(emulator: Emulator) -> Iterator[BatchClient]:
    """The SDK's client of that emulator."""
    with client_of(emulator) as client:
        yield client


@pytest.fixture(scope="session")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Another emulator, with control endpoints: one for the whole run."""
    with started(tmp_path_factory.mktemp("controlled"), "--control") as running:
        yield running


@pytest.fixture
def control(controlled: Emulator) -> Iterator[Control]:
    """The control endpoints of that emulator; afterwards it is reset, and nothing may be left."""
    logged = controlled.log.read_text()
    client = Control(controlled.url)
    yield client
    client.reset()
    assert controlled.is_clean()
    assert controlled.log.read_text().removeprefix(logged) == ""


@pytest.fixture
def one_try(controlled: Emulator) -> Iterator[BatchClient]:
    """The SDK's client of that emulator; it does not repeat what fails."""
    with client_of(controlled, retry_total=0) as client:
        yield client


@pytest.fixture
def batch(emulator: Emulator, emulator_client: BatchClient) -> Iterator[BatchClient]:
    """The client; afterwards all pools and jobs are deleted, and nothing of them may be left."""
    logged = emulator.log.read_text()
    yield emulator_client
    _delete_all(emulator_client)
    wait_until(lambda: not [*emulator_client.list_pools(), *emulator_client.list_jobs()])
    wait_until(emulator.is_clean)
    assert emulator.log.read_text().removeprefix(logged) == ""


def _delete_all(client: BatchClient) -> None:
    for job in client.list_jobs():
        if job.state != "deleting":
            client.begin_delete_job(str(job.id), polling_interval=1)
    for pool in client.list_pools():
        if pool.state != "deleting":
            client.begin_delete_pool(str(pool.id), polling_interval=1)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """A Batch account on disk, whose emulator can be ended and started again."""
    account = Account(tmp_path)
    try:
        yield account
    finally:
        account.stop()
    assert account.emulator.task_pids() == []


@pytest.fixture
def pool(batch: BatchClient) -> str:
    """A pool with one idle node that runs one task at a time."""
    return a_pool(batch)


@pytest.fixture
def job(batch: BatchClient, pool: str) -> str:
    """An active job without tasks on that pool."""
    return a_job(batch, pool)


@pytest.fixture
def container(blob_service: BlobServiceClient) -> Iterator[ContainerClient]:
    """A container of this test's own."""
    with blob_service.create_container(f"test-{uuid.uuid4().hex}") as client:
        yield client
        client.delete_container()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A URL whose server accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/never"
